"""What tests share: where samples lie, and frames in, plain rows out."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

import polars as pl
import pytest

import analyzer
from captures.files import ETHERNET, Frame, pcap
from captures.lab import frames as timed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scapy.packet import Packet

ROOT = Path(__file__).resolve().parent.parent
CAPTURES = ROOT / "captures"
CONFORMANCE = CAPTURES / "conformance"
NODEPORT = CAPTURES / "cluster" / "nodeport"

Row = dict[str, Any]


def sample_captures() -> list[Path]:
    """List every small capture that lies here: our own and those of others."""
    paths = (*CAPTURES.glob("*/*.pcap"), *CAPTURES.glob("*/*.pcapng"))
    return sorted(paths)


def sample_pcaps() -> list[Path]:
    """List those among them whose records are whole, so that scapy reads them too."""
    broken_off = ("absurd_", "cut_in_", "dpkt_truncated_")
    return [
        path
        for path in sample_captures()
        if path.suffix == ".pcap" and not path.name.startswith(broken_off)
    ]


def sample_name(path: Path) -> str:
    """Name a sample in a test's id."""
    return f"{path.parent.name}/{path.name}"


def unpacked(packed: Path, folder: Path) -> Path:
    """Unpack a gzip file into a folder."""
    path = folder / packed.name.removesuffix(".gz")
    with gzip.open(packed) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    return path


def require_program(name: str) -> str:
    """Find a program: without it the test is skipped, and on CI it fails."""
    found = shutil.which(name)
    if found is None:
        _do_without(name)
    return found


def require_file(path: Path) -> Path:
    """Find a file of a Debian package: as for a program."""
    if not path.exists():
        _do_without(str(path))
    return path


def _do_without(what: str) -> NoReturn:
    reason = f"{what} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def as_frames(packets: Iterable[Packet | bytes | Frame]) -> list[Frame]:
    """Give every packet that has none a time, a millisecond after the one before."""
    packets = list(packets)
    if packets and all(isinstance(packet, Frame) for packet in packets):
        return packets
    return timed(packets)


def rows(frame: pl.DataFrame | pl.LazyFrame) -> list[Row]:
    """Give plain rows: text as str, times and durations as integer nanoseconds."""
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    integers = [
        pl.col(name).to_physical()
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Datetime | pl.Duration)
    ]
    times = [
        pl.col(name).list.eval(pl.element().to_physical())
        for name, dtype in frame.schema.items()
        if dtype == pl.List(pl.Datetime("ns", "UTC"))
    ]
    return frame.with_columns(*integers, *times).rows(named=True)


def packet_rows(path: Path | list[Path], **how: Any) -> list[Row]:
    """Decode captures, one row a frame."""
    return rows(analyzer.scan_packets(path, **how))


def flow_tables(path: Path | list[Path], **how: Any) -> analyzer.Tables:
    """Build the flows of captures alone; what is made of them is tested apart.

    One thread at a time may ask.
    """
    with patch("analyzer.pipeline._correlated", lambda *_, **__: ()):
        return analyzer.build_tables(path, **how)


def flow_rows(path: Path | list[Path], **how: Any) -> list[Row]:
    """Give the flows of captures."""
    return rows(flow_tables(path, **how).flows)


def _written(frames: Iterable[Packet | bytes | Frame], link_type: int) -> Path:
    descriptor, name = tempfile.mkstemp(suffix=".pcap")
    with os.fdopen(descriptor, "wb") as file:
        file.write(pcap(as_frames(frames), link_type=link_type))
    return Path(name)


def decode(
    frames: Iterable[Packet | bytes | Frame], *, link_type: int = ETHERNET, **how: Any
) -> list[Row]:
    """Decode frames through a capture file, one row a frame."""
    path = _written(frames, link_type)
    try:
        return packet_rows(path, **how)
    finally:
        path.unlink()


def decode_one(
    frame: Packet | bytes | Frame, *, link_type: int = ETHERNET, **how: Any
) -> Row:
    """Decode a single frame."""
    (row,) = decode([frame], link_type=link_type, **how)
    return row


def flows_of(
    frames: Iterable[Packet | bytes | Frame], *, link_type: int = ETHERNET, **how: Any
) -> list[Row]:
    """Give the flows of frames, through a capture file."""
    path = _written(frames, link_type)
    try:
        return flow_rows(path, **how)
    finally:
        path.unlink()


def flow_of(
    frames: Iterable[Packet | bytes | Frame], *, link_type: int = ETHERNET, **how: Any
) -> Row:
    """Give the only flow of frames."""
    (flow,) = flows_of(frames, link_type=link_type, **how)
    return flow


def picked(row: Row, expected: Row) -> Row:
    """Give the columns of a row that a test has an opinion on."""
    return {name: row[name] for name in expected}


def read_frames(path: Path) -> tuple[int, list[Frame]]:
    """Read a pcap with scapy: its link type and its frames."""
    from scapy.utils import RawPcapReader

    with RawPcapReader(str(path)) as reader:
        unit = 1 if reader.nano else 1000
        frames = [
            Frame(octets, meta.sec * 1_000_000_000 + meta.usec * unit, meta.wirelen)
            for octets, meta in reader
        ]
        return reader.linktype, frames
