"""The programs that are compared: how to run each, and how to read its answer."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import analyzer
from benchmarks import inputs, process

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.inputs import Capture
    from benchmarks.peers import Counts

OURS = "analyze flows"
COMPILE = ("cc", "-O3", "-o")  # for any processor of the kind, as wheels are
VERSION = r"(\d+\.\d+(?:\.\d+)*)"


@dataclass
class Peer:
    """A program to be measured.

    ``command`` makes its arguments from the capture and a folder to write to;
    ``answer`` reads what it counted from its standard output and that folder.
    ``prefix`` is how many packets it can be asked to read, None for all.
    """

    name: str
    command: Callable[[Path, Path], list[str | Path]]
    answer: Callable[[Path, Path], Counts]
    inside_vxlan: str
    prefix: int | None = None
    version: str = ""
    missing: str = ""
    runs: list[process.Usage] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)

    def measure(self, capture: Capture) -> None:
        """Take one turn, and check the answer."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            output = folder / "stdout"
            self.runs.append(process.run(self.command(capture.path, folder), output))
            counts = self.answer(output, folder)
        expected = _expected(self, capture.truth)
        self.checked = [key for key in expected if key in counts]
        self.wrong += [
            f"{key}: {found:,} instead of {expected[key]:,}"
            for key, found in counts.items()
            if key in expected and found != expected[key]
        ]

    def packets(self, capture: Capture) -> int:
        """Count the packets that it reads of a capture."""
        whole: int = capture.truth["packets"]
        return min(whole, self.prefix or whole)

    @property
    def wall(self) -> float:
        """The median time of a turn, in seconds."""
        return statistics.median(run["wall"] for run in self.runs)


def _expected(peer: Peer, truth: dict[str, Any]) -> dict[str, int]:
    """Give the counts that a peer has to find."""
    expected: dict[str, int] = {
        key: truth[key]
        for key in ("packets", "wire_bytes", "flows", "tcp_flows", "retransmits")
        if key in truth
    }
    if peer.name == OURS:  # ARP has no five-tuple and so no flow
        expected["packets"] -= truth["arp_packets"]
        expected["wire_bytes"] -= truth["arp_bytes"]
    return expected


def _analyze() -> Peer:
    command = [sys.executable, "-m", "analyzer", "flows"]
    return Peer(
        OURS,
        lambda capture, folder: [*command, capture, "-o", folder / "tables"],
        lambda _, folder: _ask("tables", folder / "tables"),
        inside_vxlan="yes",
        version=analyzer.__version__,
    )


def _floor(directory: Path) -> Peer:
    program = directory / "floor"
    missing = "" if shutil.which(COMPILE[0]) else "no C compiler"
    if not missing:
        source = inputs.BENCHMARKS / "floor.c"
        subprocess.run([*COMPILE, program, source], check=True)
    return Peer(
        "C floor",
        lambda capture, _: [program, capture],
        lambda output, _: _parse(output),
        inside_vxlan="yes",
        version=_first_line("cc", "--version"),
        missing=missing,
    )


def _python(name: str, title: str, package: str, prefix: int, inside: str) -> Peer:
    return Peer(
        title,
        lambda capture, _: [sys.executable, "-m", "benchmarks.peers", name, capture],
        lambda output, _: _parse(output),
        inside_vxlan=inside,
        prefix=prefix,
        version=_distribution(package) if package else "",
        missing="" if not package or _distribution(package) else "not installed",
    )


def _external(
    title: str,
    arguments: list[str],
    answer: Callable[[str], Counts],
    *,
    inside: str = "no",
    prefix: int | None = None,
) -> Peer:
    """Describe a program that is found on ``PATH``; ``CAPTURE`` marks the argument."""

    def command(capture: Path, _: Path) -> list[str | Path]:
        return [capture if word == "CAPTURE" else word for word in arguments]

    present = shutil.which(arguments[0])
    return Peer(
        title,
        command,
        lambda output, _: answer(output.read_text(errors="replace")),
        inside_vxlan=inside,
        prefix=prefix,
        version=_first_line(arguments[0], "--version") if present else "",
        missing="" if present else "not installed",
    )


def programs(directory: Path) -> list[Peer]:
    """List the programs in the order in which they take turns."""
    fields = "frame.time_epoch frame.len ip.src ip.dst ipv6.src ipv6.dst ip.proto "
    fields += "tcp.srcport tcp.dstport udp.srcport udp.dstport vxlan.vni"
    columns = [word for name in fields.split() for word in ("-e", name)]
    columns += ["-E", "occurrence=l"]  # of a field that occurs twice, the innermost
    million = 1_000_000
    return [
        _analyze(),
        _floor(directory),
        _external(
            "tcpdump -w /dev/null",
            ["tcpdump", "-n", "-r", "CAPTURE", "-w", "/dev/null"],
            lambda _: {},
        ),
        _external(
            "capinfos -c -d",
            ["capinfos", "-M", "-c", "-d", "CAPTURE"],
            lambda text: {
                "packets": int(find(r"Number of packets:\s+(\d+)", text)),
                "wire_bytes": int(find(r"Data size:\s+(\d+)", text)),
            },
        ),
        _python("mmap-struct", "Python, mmap + struct", "", million, "by hand"),
        _python("scapy-raw", "scapy RawPcapReader", "scapy", million, "by hand"),
        _python("dpkt", "dpkt", "dpkt", million // 10 * 3, "by hand"),
        _python("scapy", "scapy PcapReader", "scapy", million // 100 * 3, "yes"),
        _external(
            "tshark -z conv,tcp",
            ["tshark", "-n", "-q", "-r", "CAPTURE", "-z", "conv,tcp"],
            lambda text: {"tcp_flows": text.count(" <-> ")},
            inside="yes",
            prefix=million // 10 * 3,
        ),
        _external(
            "tshark -T fields",
            ["tshark", "-n", "-r", "CAPTURE", "-T", "fields", *columns],
            lambda text: {"packets": text.count("\n")},
            inside="yes",
            prefix=million // 10,
        ),
    ]


def _ask(name: str, path: Path) -> Counts:
    """Have a peer of ours count something, without timing it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", name, path],
        cwd=inputs.BENCHMARKS.parent,
        stdout=subprocess.PIPE,
        check=True,
    )
    counts: Counts = json.loads(done.stdout)
    return counts


def _parse(output: Path) -> Counts:
    counts: Counts = json.loads(output.read_bytes())
    return counts


def find(pattern: str, text: str) -> str:
    """Give what a pattern's group matches in a text, "0" if nothing does."""
    found = re.search(pattern, text)
    return found[1] if found else "0"


def _distribution(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _first_line(*command: str) -> str:
    """Give the version in a program's first line that has one."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return find(VERSION, done.stdout + done.stderr)
