# Everything happens in .venv; delete it to begin anew.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# A stamp per set of extras, remade when what it depends on changes.
SOURCES := setup.py pyproject.toml $(shell find cext -name '*.pyx' -o -name '*.pxd' -o -name '*.h') $(wildcard analyzer/_cext/*.pxd)

LOADBALANCER := captures/cluster/loadbalancer
TOPOLOGY := $(BIN)/analyze paths --cluster $(LOADBALANCER)/cluster
PATHS := $(BIN)/analyze paths $(LOADBALANCER) --cluster $(LOADBALANCER)/cluster

.PHONY: demo docs test sanitize lint types bench clean

demo: $(VENV)/.installed-pictures
	$(BIN)/analyze flows captures/cluster/loadbalancer/k8s-worker01.ens18.pcap.gz \
	  --cluster captures/cluster/loadbalancer/cluster -o demo.tables
	$(BIN)/python -c 'import analyzer; print(analyzer.open_tables("demo.tables").connections.group_by("service_name", "backend_pod", "backend_evidence").len().sort("len", "backend_pod", descending=True).collect())'
	$(BIN)/analyze spread demo.tables --service lb-nginx-ds \
	  --cluster captures/cluster/loadbalancer/cluster -o demo.svg
	$(PATHS) -o docs/paths.svg

# Every picture in docs/ and its terminal output, anew.
docs: $(VENV)/.installed-test
	for ending in svg html pdf mmd dot json; do $(PATHS) -o docs/paths.$$ending; done
	COLUMNS=80 $(PATHS) >docs/paths.txt
	for ending in svg png mmd; do $(PATHS) --connection 37 -o docs/ladder.$$ending; done
	COLUMNS=100 $(PATHS) --connection 37 >docs/ladder.txt
	$(BIN)/analyze paths captures/cluster/mixed --connection 85 \
	  --cluster captures/cluster/mixed/cluster -o docs/unanswered.svg
	$(BIN)/analyze paths $(LOADBALANCER)/k8s-worker01.ens18.pcap.gz \
	  --cluster $(LOADBALANCER)/cluster -o docs/one-node.svg
	for ending in svg mmd dot; do $(TOPOLOGY) -o docs/cluster.$$ending; done
	$(BIN)/analyze paths captures/cluster/drops --connection 16 \
	  --cluster captures/cluster/drops/cluster -o docs/lost.svg
	$(BIN)/analyze spread $(LOADBALANCER) --service lb-nginx-ds \
	  --cluster $(LOADBALANCER)/cluster --cluster $(LOADBALANCER)/conntrack \
	  -o docs/spread.svg

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -p no:benchmark tests

# The tests of compiled code, with a build that stops where memory is read or written
# that is not its own. A quarter of an hour, for the tree as it was committed.
SANITIZED := build/sanitized
SANITIZERS := -fsanitize=address,undefined -fno-sanitize=alignment,shift,pointer-overflow
sanitize: $(VENV)/.installed-test
	rm -rf $(SANITIZED) && mkdir -p $(SANITIZED)
	git archive HEAD | tar -x -C $(SANITIZED)
	cd $(SANITIZED) && CFLAGS="$(SANITIZERS) -O1 -g" LDFLAGS="$(SANITIZERS)" \
	  "$(CURDIR)/$(BIN)/python" -m pip wheel --quiet --no-deps --wheel-dir wheel . \
	  && "$(CURDIR)/$(BIN)/python" -m zipfile -e wheel/*.whl .
	cd $(SANITIZED) && PYTHONMALLOC=malloc ARROW_DEFAULT_MEMORY_POOL=system \
	  ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0 \
	  LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  "$(CURDIR)/$(BIN)/python" -m pytest -q -n auto --dist loadfile -p no:benchmark \
	  tests/decode tests/flows tests/tables tests/correlate

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint cext analyzer/_cext
	$(BIN)/lint-imports

types: $(VENV)/.installed-lint
	$(BIN)/mypy

# All of it: BENCH="--size 500k --rounds 2" is quicker. nfstream has wheels for some
# platforms only and is measured where it installs.
bench: $(VENV)/.installed-bench
	-$(BIN)/python -m pip install --quiet nfstream
	$(BIN)/python -m benchmarks $(BENCH)

clean:
	rm -rf build dist demo.svg demo.tables *.egg-info
	find analyzer -name '*.so' -delete

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m compileall -q analyzer
	touch $@

# What an extra asks for, without building the package once more.
$(VENV)/.installed-%: $(VENV)/.installed | $(BIN)/python
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$*"], sep="\n")' >$(VENV)/$*.txt
	$(BIN)/python -m pip install --quiet --requirement $(VENV)/$*.txt
	touch $@
