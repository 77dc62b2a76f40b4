"""A pipeline without a decoder, so that the command line is tested alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.correlate import correlate
from analyzer.tables import Tables, lazy
from analyzer.tables.captures import CaptureSummary, Interface
from analyzer.tables.convert import to_arrow
from analyzer.tables.schema import arrow_schema

START = 1_683_000_000_123_456_789


def a_flow(**columns: Any) -> dict[str, Any]:
    """Make a row of a TCP flow, but for some columns."""
    flow = {
        "flow_id": 0,
        "capture": "node.pcap",
        "point": "node/eth0",
        "protocol": "tcp",
        "originator_ip": "10.1.235.192",
        "originator_port": 40001,
        "responder_ip": "10.1.79.75",
        "responder_port": 80,
        "start_time": START,
        "end_time": START + 1_500_000_000,
        "originator_packets": 6,
        "responder_packets": 5,
        "originator_bytes": 500,
        "responder_bytes": 4000,
        "wire_bytes": 4654,
        "tcp_state": "SF",
        "handshake_rtt": 340_000,
        "originator_retransmits": 0,
        "responder_retransmits": 0,
        "fragments": 0,
        "copies": 0,
        "icmp_errors": 0,
        **columns,
    }
    ends = ("protocol", "originator_ip", "originator_port", "responder_ip")
    flow["community_id"] = "-".join(str(flow[end]) for end in ends)
    return flow


CLUSTER = """\
$ kubectl get node -o wide
NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE
k8s-master Ready <none> 91m v1.26.4 192.168.2.30 <none> Ubuntu
k8s-worker01 Ready <none> 83m v1.26.4 192.168.2.31 <none> Ubuntu
$ kubectl get pod -o wide
NAME READY STATUS RESTARTS AGE IP NODE NOMINATED-NODE READINESS-GATES
nginx-ds-6nw9w 1/1 Running 0 23m 10.1.79.75 k8s-worker01 <none> <none>
$ kubectl get svc -o wide
NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR
nodeport-nginx-ds NodePort 10.152.183.23 <none> 80:30080/TCP 17m name=nginx
"""


def a_summary(path: Path | str = "node.pcap", **fields: Any) -> CaptureSummary:
    defaults: dict[str, Any] = {
        "size": 5000,
        "format": "pcap",
        "compression": None,
        "interfaces": [Interface(None, 1, 262_144)],
        "points": ["node/eth0"],
        "packets": 11,
        "captured_bytes": 4654,
        "wire_bytes": 4654,
        "start_time": START,
        "end_time": START + 1_500_000_000,
    }
    return CaptureSummary(
        path=str(path), name=Path(path).name, **{**defaults, **fields}
    )


@dataclass
class Pipeline:
    """What the fake pipeline answers, and what it was asked."""

    rows: list[dict[str, Any]] = field(default_factory=lambda: [a_flow()])
    summaries: list[CaptureSummary] | None = None
    error: BaseException | None = None
    asked: dict[str, Any] = field(default_factory=dict)

    def write_tables(self, captures: Any, directory: Path, **asked: Any) -> Tables:
        self.asked = {"captures": captures, "directory": directory, **asked}
        captures = self.summarise(captures)
        directory.mkdir(exist_ok=True)
        schema = arrow_schema("flows")
        columns = {
            name: pa.array([row.get(name) for row in self.rows]).cast(kind)
            if not pa.types.is_dictionary(kind)
            else pa.array([row.get(name) for row in self.rows], pa.utf8()).cast(kind)
            for name, kind in zip(schema.names, schema.types, strict=True)
        }
        table = pa.table(columns, schema=schema)
        with pa.ipc.new_file(str(directory / "flows.arrow"), schema) as writer:
            writer.write_table(table, max_chunksize=1)
        tables = {"flows": directory / "flows.arrow"}
        for name, frame in correlate(lazy(table))._asdict().items():
            tables[name] = directory / f"{name}.arrow"
            made = to_arrow(frame, name)
            with pa.ipc.new_file(str(tables[name]), made.schema) as writer:
                writer.write_table(made)
        return Tables(tables, captures)

    def summarise(self, captures: Any, **_asked: Any) -> list[CaptureSummary]:
        if self.error is not None:
            raise self.error
        return self.summaries or [a_summary(path) for path in captures]


@pytest.fixture
def make_flow() -> Any:
    return a_flow


@pytest.fixture
def make_summary() -> Any:
    return a_summary


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    fake = Pipeline()
    module = ModuleType("analyzer.pipeline")
    module.write_tables = fake.write_tables  # type: ignore[attr-defined]
    module.summarise = fake.summarise  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "analyzer.pipeline", module)
    return fake


@dataclass
class Analyze:
    """The command ``analyze``, beside two captures and ``cluster.txt``."""

    captures: tuple[Path, ...]

    def __call__(
        self,
        *arguments: str,
        columns: int = 80,
        color: bool = False,
        **environment: str,
    ) -> Result:
        environment["COLUMNS"] = str(columns)
        return CliRunner().invoke(main, arguments, env=environment, color=color)


@pytest.fixture
def analyze(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Analyze:
    monkeypatch.chdir(tmp_path)
    Path("cluster.txt").write_text(CLUSTER)
    captures = (Path("n1.eth0.pcap.gz"), Path("n2.eth0.pcap"))
    for path in captures:
        path.touch()
    return Analyze(captures)
