# Everything happens in .venv; delete it to begin anew.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# A stamp per set of extras, remade when what it depends on changes.
SOURCES := setup.py pyproject.toml $(shell find cext -name '*.pyx' -o -name '*.pxd' -o -name '*.h') $(wildcard analyzer/_cext/*.pxd)

.PHONY: demo test lint types bench clean

demo: $(VENV)/.installed-charts
	$(BIN)/analyze flows captures/cluster/loadbalancer/k8s-worker01.ens18.pcap.gz \
	  --cluster captures/cluster/loadbalancer/cluster -o demo.tables
	$(BIN)/python -c 'import analyzer; print(analyzer.open_tables("demo.tables").connections.group_by("service_name", "backend_pod", "backend_evidence").len().sort("len", "backend_pod", descending=True).collect())'
	$(BIN)/analyze spread demo.tables --service lb-nginx-ds \
	  --cluster captures/cluster/loadbalancer/cluster -o demo.svg

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint cext analyzer/_cext
	$(BIN)/lint-imports

types: $(VENV)/.installed-lint
	$(BIN)/mypy

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.compare

clean:
	rm -rf build dist demo.svg demo.tables *.egg-info
	find analyzer -name '*.so' -delete

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-%: $(VENV)/.installed | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
