"""The machine that measured, described by its kind and not by its name."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.programs import VERSION

LIBRARIES = ("polars", "pyarrow", "numpy", "isal", "zstandard", "lz4")


def describe(data: Path) -> dict[str, Any]:
    """Describe the machine, today.

    Parameters
    ----------
    data : Path
        Where captures are kept.

    Returns
    -------
    dict
        ``date``, ``processor``, ``cores`` (that may be used), ``memory_gib``,
        ``system``, ``data`` and ``scratch`` (their file systems), ``python`` and
        ``libraries`` (versions).
    """
    memory = _find(r"MemTotal:\s+(\d+)", _read("/proc/meminfo")) or "0"
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _find(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo")).strip(),
        "cores": cores(),
        "memory_gib": round(int(memory) / 2**20, 1),
        "system": f"{platform.system()} {_find(VERSION, platform.release())}",
        "data": _file_system(data),
        "scratch": _file_system(Path(tempfile.gettempdir())),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def sentence(machine: dict[str, Any]) -> str:
    """Say on what was measured, and when."""
    libraries = ", ".join(f"{name} {v}" for name, v in machine["libraries"].items())
    return (
        f"{machine['date']}: {machine['processor'] or 'unknown processor'}, "
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, "
        f"captures on {machine['data']}, tables on {machine['scratch']}, "
        f"Python {machine['python']}, {libraries}."
    )


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _file_system(path: Path) -> str:
    """Name the type of the file system that a path is on."""
    mounts = [line.split()[1:3] for line in _read("/proc/mounts").splitlines()]
    above = [str(path.resolve()), *map(str, path.resolve().parents)]
    kinds = {place: kind for place, kind in mounts if place in above}
    return kinds[max(kinds, key=len)] if kinds else "unknown"


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
