"""What a comparison found, for machines and for people."""

from __future__ import annotations

import os
import platform
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.programs import OURS, VERSION, find

if TYPE_CHECKING:
    from benchmarks.inputs import Capture
    from benchmarks.programs import Peer

LEAST_MEMORY = 12  # MiB: see process.py
HEADINGS = (
    "program",
    "packets read",
    "seconds, median (least to most)",
    "packets/s",
    "`analyze` is",
    "CPU seconds",
    "peak MiB",
    "sees inside VXLAN",
    "answer checked",
)


def summarise(peers: list[Peer], capture: Capture) -> dict[str, Any]:
    """Gather what was measured.

    Parameters
    ----------
    peers : list of Peer
        Those that took their turns, and those that could not.
    capture : Capture
        The whole capture.

    Returns
    -------
    dict
        Ready to be written as JSON: ``date``, ``machine``, ``capture`` and
        ``programs``, one record each; times in seconds, memory in octets,
        ``analyze_is`` times as fast.
    """
    rates = {p.name: p.packets(capture) / p.wall for p in peers if p.runs}
    programs = []
    for peer in peers:
        record: dict[str, Any] = {"name": peer.name, "version": peer.version}
        if not peer.runs:
            programs.append(record | {"missing": peer.missing})
            continue
        walls = [run["wall"] for run in peer.runs]
        record |= {
            "packets": peer.packets(capture),
            "wall": walls,
            "wall_median": peer.wall,
            "packets_per_second": rates[peer.name],
            "analyze_is": rates[OURS] / rates[peer.name] if OURS in rates else None,
            "cpu_median": statistics.median(run["cpu"] for run in peer.runs),
            "peak_memory": max(run["peak_memory"] for run in peer.runs),
            "inside_vxlan": peer.inside_vxlan,
            "checked": peer.checked,
            "wrong": peer.wrong,
        }
        programs.append(record)
    truth = {k: v for k, v in capture.truth.items() if k != "prefixes"}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": _machine(),
        "capture": truth,
        "programs": programs,
    }


def markdown(results: dict[str, Any]) -> str:
    """Write the results as a table, with what was measured above it."""
    machine, capture = results["machine"], results["capture"]
    about = (
        f"{results['date']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python "
        f"{machine['python']}. {_count(capture['packets'])} packets, "
        f"{capture['capture_bytes'] / 1e9:.2f} GB, {capture['flows']:,} innermost "
        f"flows, {capture['vxlan_packets'] / capture['packets']:.0%} VXLAN."
    )
    lines = [
        about,
        "",
        f"| {' | '.join(HEADINGS)} |",
        "|---|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for record in results["programs"]:
        title = f"{record['name']} {record['version']}".strip()
        if "missing" in record:
            lines.append(f"| {title} | {record['missing']} |" + " |" * 7)
            continue
        checked = ", ".join(record["checked"]).replace("_", " ") or "it tells none"
        if record["wrong"]:
            checked = f"**wrong:** {'; '.join(record['wrong'])}"
        faster, peak = record["analyze_is"], record["peak_memory"] / 2**20
        least, most = min(record["wall"]), max(record["wall"])
        cells = [
            title,
            _count(record["packets"]),
            f"{record['wall_median']:.2f} ({least:.2f} to {most:.2f})",
            _count(record["packets_per_second"]),
            f"{_digits(faster)} x" if faster else "",
            f"{record['cpu_median']:.2f}",
            f"{peak:.0f}" if peak > LEAST_MEMORY else f"< {LEAST_MEMORY}",
            record["inside_vxlan"],
            checked,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _count(number: float) -> str:
    """Write a number with three digits and a unit."""
    for unit, scale in ((" M", 1e6), (" k", 1e3)):
        if number >= scale:
            return _digits(number / scale, 3) + unit
    return _digits(number, 3)


def _digits(number: float, digits: int = 2) -> str:
    """Round to so many significant digits, without an exponent."""
    return f"{float(f'{number:.{digits}g}'):,.10g}"


def _machine() -> dict[str, Any]:
    """Describe the machine, by kind and not by name."""
    processor = find(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo"))
    memory = int(find(r"MemTotal:\s+(\d+)", _read("/proc/meminfo")))
    return {
        "processor": processor.strip(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**20, 1),
        "system": f"{platform.system()} {find(VERSION, platform.release())}",
        "python": platform.python_version(),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
