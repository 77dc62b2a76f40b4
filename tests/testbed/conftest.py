"""What the testbed's tests share: an earlier recording, and the live testbed."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from captures.testbed import netns, record, scenarios
from captures.testbed.__main__ import missing

DATA = Path(__file__).parent / "data"


def unpack_lines(path: Path) -> list[Any]:
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the earlier recording's conntrack files; a directory as `record` makes."""
    folder = tmp_path_factory.mktemp("earlier")
    (folder / "conntrack").mkdir()
    for packed in (DATA / "conntrack").glob("*.gz"):
        target = folder / "conntrack" / packed.name.removesuffix(".gz")
        target.write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


@pytest.fixture(scope="session")
def earlier_truth() -> list[Any]:
    return unpack_lines(DATA / "truth.jsonl.gz")


@pytest.fixture(scope="session")
def needs_testbed() -> None:
    """Skip where the testbed cannot run; in CI that is a failure."""
    reasons = missing()
    if reasons and os.environ.get("CI") == "true":
        pytest.fail(f"CI must run the testbed, but: {'; '.join(reasons)}")
    if reasons:
        pytest.skip(f"the testbed cannot run here: {'; '.join(reasons)}")


@pytest.fixture(scope="session", params=["iptables", "nftables"])
def live(
    request: pytest.FixtureRequest,
    needs_testbed: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Record the quick scenario now; its directory, captures unpacked."""
    folder = tmp_path_factory.mktemp(f"quick-{request.param}")
    with netns.exclusive():
        try:
            record.record(scenarios.QUICK, folder, request.param)
        finally:
            netns.tear_down()
    for packed in folder.glob("*.gz"):
        with gzip.open(packed) as source, packed.with_suffix("").open("wb") as target:
            shutil.copyfileobj(source, target)
    return folder
