"""The captures that are measured: built when first asked for, then kept."""

from __future__ import annotations

import gzip
import hashlib
import json
import mmap
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

BENCHMARKS = Path(__file__).resolve().parent
DATA = BENCHMARKS / "data"
#: The captures that programs are compared on, and what each of them is.
KINDS = {
    "usual": "the usual mix",
    "short": "the usual mix, cut to 96 octets a frame",
    "many": "two packets to nearly every flow",
    "pcapng": "the usual mix as pcapng",
}
GENERATOR = (BENCHMARKS / "generate.py", *sorted(BENCHMARKS.glob("traffic/*.py")))


@dataclass(frozen=True)
class Capture:
    """A capture and the true counts of what it holds.

    ``truth`` has the fields of :class:`benchmarks.generate.Truth`; that of a prefix
    has no ``capture_bytes``.
    """

    path: Path
    truth: dict[str, Any]
    is_prefix: bool = False

    @property
    def size(self) -> dict[str, int]:
        """What a benchmark records, so that its throughput can be told."""
        return {
            "packets": self.truth["packets"],
            "bytes": self.path.stat().st_size,
        }


def build(
    packets: int,
    *,
    flows: int | None = None,
    snaplen: int | None = None,
    pcapng: bool = False,
    vxlan_share: float = 0.6,
    directory: Path = DATA,
) -> Capture:
    """Give the capture with these properties, and write it first if need be.

    Parameters
    ----------
    packets : int
        Frames in the capture.
    flows : int, optional
        Two-way flows; one for every 33 packets unless told.
    snaplen : int, optional
        Octets kept of each frame; whole frames unless told.
    pcapng : bool
        pcapng instead of pcap.
    vxlan_share : float
        Share of the flows that travel in VXLAN.
    directory : Path
        Where captures are kept.

    Returns
    -------
    Capture
        The capture and its true counts.
    """
    flows = flows or max(1, packets // 33)
    suffix = ".pcapng" if pcapng else ".pcap"
    name = f"{packets}-packets-{flows}-flows-{vxlan_share:.0%}-vxlan".replace("%", "")
    name += f"-snaplen-{snaplen}" if snaplen else ""
    # Another generator writes another capture.
    version = hashlib.sha256(b"".join(s.read_bytes() for s in GENERATOR)).hexdigest()
    path = directory.resolve() / f"{name}-{version[:8]}{suffix}"
    counts = path.with_name(path.name + ".json")
    if not (path.exists() and counts.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        # A process of its own: its memory must not stay with the one that measures.
        command = [sys.executable, "-m", "benchmarks.generate", str(path)]
        command += [f"--packets={packets}", f"--flows={flows}"]
        command += [f"--vxlan-share={vxlan_share}", f"--format={suffix[1:]}"]
        command += [f"--snaplen={snaplen}"] if snaplen else []
        done = subprocess.run(
            command, cwd=BENCHMARKS.parent, stdout=subprocess.PIPE, check=True
        )
        counts.write_bytes(done.stdout)
    return Capture(path, json.loads(counts.read_bytes()))


def prefix(capture: Capture, packets: int) -> Capture:
    """Give the first packets of a pcap capture as a capture of their own.

    Parameters
    ----------
    capture : Capture
        The whole capture, in pcap format.
    packets : int
        How many packets; one of those that ``truth["prefixes"]`` has counts for.

    Returns
    -------
    Capture
        The prefix, or ``capture`` itself when it is no longer than that.
    """
    if capture.truth["packets"] <= packets:
        return capture
    truth = next(t for t in capture.truth["prefixes"] if t["packets"] == packets)
    path = capture.path.with_name(f"{capture.path.stem}-first-{packets}.pcap")
    if not path.exists():
        with (
            capture.path.open("rb") as whole,
            mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_READ) as octets,
        ):
            end = 24
            for _ in range(packets):
                end += 16 + struct.unpack_from("<I", octets, end + 8)[0]
            unfinished = path.with_suffix(".part")
            with unfinished.open("wb") as out:
                out.write(memoryview(octets)[:end])
        unfinished.rename(path)
    return Capture(path, truth, is_prefix=True)


def compress(capture: Capture, suffix: str) -> Capture:
    """Give a capture compressed, as ``.gz``, ``.zst`` or ``.lz4``."""
    path = capture.path.with_name(capture.path.name + suffix)
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with (
            capture.path.open("rb") as whole,
            _COMPRESSORS[suffix](unfinished) as out,
        ):
            shutil.copyfileobj(whole, out, 1 << 20)
        unfinished.rename(path)
    return Capture(path, capture.truth)


def _gzip(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "wb", compresslevel=1))


def _zstd(path: Path) -> IO[bytes]:
    import zstandard

    return cast("IO[bytes]", zstandard.open(path, "wb"))


def _lz4(path: Path) -> IO[bytes]:
    import lz4.frame

    return cast("IO[bytes]", lz4.frame.open(path, "wb"))


_COMPRESSORS = {".gz": _gzip, ".zst": _zstd, ".lz4": _lz4}
COMPRESSIONS = tuple(_COMPRESSORS)


def kind(name: str, packets: int, directory: Path = DATA) -> Capture:
    """Give one of the captures that programs are compared on.

    Parameters
    ----------
    name : str
        One of :data:`KINDS`.
    packets : int
        Frames of the usual capture; one of many flows has half as many.
    directory : Path
        Where captures are kept.
    """
    if name == "many":
        flows = max(1, packets * 49 // 200)
        return build(packets // 2, flows=flows, directory=directory)
    properties: dict[str, dict[str, Any]] = {
        "usual": {},
        "short": {"snaplen": 96},
        "pcapng": {"pcapng": True},
    }
    return build(packets, directory=directory, **properties[name])
