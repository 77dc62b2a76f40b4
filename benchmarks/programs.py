"""The programs that are measured: how to run each, and how to read its answer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import analyzer
from benchmarks import inputs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.peers import Counts

OURS = "analyze flows"
ANALYZE: tuple[str, ...] = (sys.executable, "-m", "analyzer")
COMPILE = ("cc", "-O3", "-o")  # for any processor of the kind, as wheels are
VERSION = r"(\d+\.\d+(?:\.\d+)*)"
NOT_INSTALLED = "not installed"

# Captures that a program can be asked to read, by name: see inputs.KINDS.
PCAP = frozenset({"usual", "short", "many"})
EVERY = PCAP | {"pcapng"}
WHOLE_FRAMES = frozenset({"usual", "many"})

INNERMOST, OUTERMOST, NOTHING = "innermost", "outermost", "none"
million = 1_000_000


@dataclass(frozen=True)
class Program:
    """A program to be measured.

    Parameters
    ----------
    name : str
    command : callable
        Makes its arguments from the capture and an empty folder to write to.
    answer : callable
        Reads what it counted from its standard output and that folder.
    flows : str
        Which flows it makes: those of the innermost or outermost headers, or none.
    reads : set of str
        Kinds of captures that it takes part in.
    prefix : int, optional
        How many packets it can be asked to read, None for all.
    version : str
    missing : str
        Why it cannot be run, if it cannot.
    """

    name: str
    command: Callable[[Path, Path], list[str | Path]]
    answer: Callable[[Path, Path], Counts]
    flows: str = NOTHING
    reads: frozenset[str] = EVERY
    prefix: int | None = None
    version: str = ""
    missing: str = ""


def analyze(threads: int | None = None) -> Program:
    """Give ``analyze flows``, with all cores or so many threads."""
    options = [] if threads is None else ["--threads", str(threads)]
    return Program(
        " ".join([OURS, *options]),
        lambda capture, folder: [
            *(*ANALYZE, "flows", *options),
            *(capture, "-o", folder / "tables"),
        ],
        lambda _, folder: ask("tables", folder / "tables"),
        flows=INNERMOST,
        version=analyzer.__version__,
    )


def analyze_info() -> Program:
    """Give ``analyze info``, which decodes and makes no flows."""

    def answer(output: Path, _: Path) -> Counts:
        told = json.loads(output.read_bytes())
        names = ("packets", "wire_bytes", "captured_bytes")
        return {name: told[name] for name in names}

    return Program(
        "analyze info",
        lambda capture, _: [*ANALYZE, "info", "--json", capture],
        answer,
        version=analyzer.__version__,
    )


def floor(directory: Path) -> Program:
    """Give the C floor, compiled into a folder."""
    program = directory / "floor"
    missing = "" if shutil.which(COMPILE[0]) else "no C compiler"
    if not missing:
        directory.mkdir(parents=True, exist_ok=True)
        source = inputs.BENCHMARKS / "floor.c"
        subprocess.run([*COMPILE, program, source], check=True)
    return Program(
        "C floor",
        lambda capture, _: [program, capture],
        lambda output, _: parse(output),
        flows=INNERMOST,
        reads=PCAP,
        version="" if missing else first_line("cc", "--version"),
        missing=missing,
    )


def peer(name: str, title: str, package: str, prefix: int, flows: str) -> Program:
    """Describe a program of :mod:`benchmarks.peers`."""
    version = _distribution(package) if package else ""
    return Program(
        title,
        lambda capture, _: [sys.executable, "-m", "benchmarks.peers", name, capture],
        lambda output, _: parse(output),
        flows=flows,
        reads=WHOLE_FRAMES,
        prefix=prefix,
        version=version,
        missing="" if not package or version else NOT_INSTALLED,
    )


def external(
    title: str,
    arguments: str,
    answer: Callable[[str, Path], Counts],
    *,
    flows: str = NOTHING,
    reads: frozenset[str] = EVERY,
    prefix: int | None = None,
    version: str = "--version",
    needs: str | None = None,
) -> Program:
    """Describe a program that is found on ``PATH``.

    Parameters
    ----------
    title : str
    arguments : str
        What to run; the words CAPTURE and FOLDER stand for paths.
    answer : callable
        Reads what it counted from the text that it printed and its folder.
    flows, reads, prefix
        As for :class:`Program`.
    version : str
        The option that makes it tell its version.
    needs : str, optional
        Another program, without which its answer cannot be read.
    """
    words = arguments.split()

    def command(capture: Path, folder: Path) -> list[str | Path]:
        paths = {"CAPTURE": capture, "FOLDER": folder, "FOLDER/argus": folder / "argus"}
        return [paths.get(word, word) for word in words]

    absent = [each for each in (words[0], needs) if each and not shutil.which(each)]
    missing = NOT_INSTALLED
    if absent and absent[0] != words[0]:
        missing += f" ({absent[0]})"
    return Program(
        title,
        command,
        lambda output, folder: answer(output.read_text(errors="replace"), folder),
        flows=flows,
        reads=reads,
        prefix=prefix,
        version="" if absent else first_line(words[0], version),
        missing=missing if absent else "",
    )


def programs(directory: Path) -> list[Program]:
    """List all programs, ours first; those that are not installed, too."""
    fields = "frame.time_epoch frame.len ip.src ip.dst ipv6.src ipv6.dst ip.proto "
    fields += "tcp.srcport tcp.dstport udp.srcport udp.dstport vxlan.vni"
    columns = " ".join(f"-e {name}" for name in fields.split())
    columns += " -E occurrence=l"  # of a field that occurs twice, the innermost
    return [
        analyze(),
        analyze(threads=1),
        analyze_info(),
        floor(directory),
        external(
            "tcpdump --count",
            "tcpdump -n -r CAPTURE --count",
            lambda text, _: {"packets": int(find(r"(\d+) packets?", text))},
        ),
        external(
            "capinfos -c -d",
            "capinfos -M -c -d CAPTURE",
            lambda text, _: {
                "packets": int(find(r"Number of packets:\s+(\d+)", text)),
                "wire_bytes": int(find(r"Data size:\s+(\d+)", text)),
            },
        ),
        external(
            "nfpcapd",
            "nfpcapd -r CAPTURE -w FOLDER",
            lambda _, folder: ask("nfdump", folder),
            flows=OUTERMOST,
            version="-V",
            needs="nfdump",
        ),
        external(
            "softflowd",
            # Port 9, discard: what it exports need not arrive.
            f"softflowd -d -r CAPTURE -m {20 * million} -v 9 -n 127.0.0.1:9",
            _softflowd,
            flows=OUTERMOST,
            prefix=3 * million,
            version="-h",
        ),
        external(
            "argus",
            "argus -r CAPTURE -w FOLDER/argus",
            lambda _, folder: _argus(folder / "argus"),
            flows=OUTERMOST,
            prefix=million,
            version="-h",
            needs="racount",
        ),
        peer("nfstream", "nfstream", "nfstream", million // 10 * 3, OUTERMOST),
        peer("mmap-struct", "Python, mmap + struct", "", million, INNERMOST),
        peer("scapy-raw", "scapy RawPcapReader", "scapy", million, INNERMOST),
        peer("dpkt", "dpkt", "dpkt", million // 10 * 3, INNERMOST),
        peer("scapy", "scapy PcapReader", "scapy", million // 100 * 3, INNERMOST),
        external(
            "tshark -z conv,tcp",
            "tshark -n -q -r CAPTURE -z conv,tcp",
            lambda text, _: {"tcp_flows": text.count(" <-> ")},
            flows=INNERMOST,
            reads=WHOLE_FRAMES,
            prefix=million // 10 * 3,
        ),
        external(
            "tshark -T fields",
            f"tshark -n -r CAPTURE -T fields {columns}",
            _tshark_fields,
            reads=WHOLE_FRAMES,
            prefix=million // 10,
        ),
    ]


def _softflowd(text: str, _: Path) -> Counts:
    protocols = re.findall(r"^\s+\S+ \(\d+\):\s+(\d+)\s+(\d+)", text, re.MULTILINE)
    return {
        "ip_packets": sum(int(packets) for _, packets in protocols),
        "ip_bytes": sum(int(octets) for octets, _ in protocols),
    }


def _argus(records: Path) -> Counts:
    done = subprocess.run(
        ["racount", "-r", records], capture_output=True, text=True, check=True
    )
    _, packets, _, _, octets, *_ = find(r"sum\s+(.+)", done.stdout).split()
    return {"packets": int(packets), "wire_bytes": int(octets)}


def _tshark_fields(text: str, _: Path) -> Counts:
    rows = [line.split("\t") for line in text.splitlines()]
    return {"packets": len(rows), "wire_bytes": sum(int(row[1]) for row in rows)}


def ask(name: str, path: Path) -> Counts:
    """Have a peer of ours count something, without timing it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", name, path],
        cwd=inputs.BENCHMARKS.parent,
        stdout=subprocess.PIPE,
        check=True,
    )
    counts: Counts = json.loads(done.stdout)
    return counts


def parse(output: Path) -> Counts:
    """Read counts that a program printed as JSON."""
    counts: Counts = json.loads(output.read_bytes())
    return counts


def find(pattern: str, text: str) -> str:
    """Give what a pattern's group matches in a text.

    Raises
    ------
    ValueError
        Nothing does: the text is not what it was taken for.
    """
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no {pattern!r} in {text[:200]!r}")
    return found[1]


def first_line(*command: str) -> str:
    """Give the version in a program's first line that has one, "" if none has."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(VERSION, done.stdout + done.stderr)
    return found[1] if found else ""


def _distribution(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
