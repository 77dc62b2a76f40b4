"""What is installed: version, type information, a stub for each compiled module."""

import importlib
import importlib.metadata
import inspect
import re
import tomllib
from pathlib import Path

import pytest

import analyzer
from tests.frames import ROOT

PACKAGE = Path(analyzer.__file__).parent
COMPILED = sorted(path.stem for path in (ROOT / "cext").glob("*.pyx"))


def test_the_version_is_the_one_that_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert analyzer.__version__ == importlib.metadata.version(project["name"])


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").exists()


def test_public_names_exist():
    for name in analyzer.__all__:
        assert hasattr(analyzer, name), name


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_module_has_a_stub_that_names_what_it_offers(name):
    stub = (PACKAGE / "_cext" / f"{name}.pyi").read_text()
    module = importlib.import_module(f"analyzer._cext.{name}")
    described = set(re.findall(r"^(?:def|class) (\w+)|^(\w+):", stub, re.MULTILINE))
    named = {word for pair in described for word in pair if word}
    offered = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isclass(value) or callable(value))
    }
    assert offered <= named


@pytest.mark.parametrize(
    "stub", sorted((PACKAGE / "_cext").glob("*.pyi")), ids=lambda path: path.stem
)
def test_a_stub_describes_a_compiled_module(stub):
    assert stub.stem in COMPILED
