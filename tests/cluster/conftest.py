"""Cluster state written to files, as the analyzer meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., Cluster]


@pytest.fixture(scope="session")
def captures() -> Path:
    return Path(__file__).parents[2] / "captures"


@pytest.fixture(scope="session")
def reference(captures: Path) -> Cluster:
    return Cluster.load([captures / "reference"])


@pytest.fixture(scope="session")
def recorded_files(captures: Path) -> Path:
    return captures / "cluster" / "nodeport" / "cluster"


@pytest.fixture(scope="session")
def recorded(recorded_files: Path) -> Cluster:
    return Cluster.load(sorted(recorded_files.glob("*.json")))


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load texts, or objects as JSON, from a file each; keywords name the files."""

    def load(*contents: Any, **named: Any) -> Cluster:
        files = {f"file{number}": item for number, item in enumerate(contents)}
        for name, content in {**files, **named}.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (tmp_path / name.replace("__", ".")).write_text(text)
        return Cluster.load([tmp_path])

    return load
