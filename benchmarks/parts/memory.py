"""See whether memory stays the same, however long a capture goes on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import inputs, tables
from benchmarks.agreement import compared, disagreements
from benchmarks.charts import lines
from benchmarks.endless import FILE_HEADER
from benchmarks.programs import ANALYZE, OURS, ask
from benchmarks.quantity import count, digits, mebibytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

    from benchmarks.asked import Asked

ONE_PASS = 1_000_000  # packets
#: What reads the stream: into one set of tables, or one for each window of it.
READERS: dict[str, tuple[str, ...]] = {
    f"{OURS} -": (),
    f"{OURS} - --rotate 5m": ("--rotate", "5m", "--json"),
}
INTERVAL = 0.05  # seconds between samples, at first
MOST_SAMPLES = 400
HEADINGS = (
    "program",
    ">GB through the pipe",
    ">packets",
    ">passes",
    ">seconds",
    ">packets/s",
    ">peak MiB in pass 1",
    ">in pass 2",
    ">in the last pass",
    ">after the last octet",
    ">growth, MiB per GB",
    "compared",
)
COUNTED = (
    *("packets", "wire_bytes", "ip_packets", "ip_wire_bytes", "inner_bytes"),
    *("flows", "tcp_flows", "retransmits"),
)


def measure(asked: Asked) -> dict[str, Any]:
    """Send a capture through a pipe, many times, and watch each reader's memory."""
    whole = inputs.kind("usual", asked.packets, asked.data)
    capture = inputs.prefix(whole, ONE_PASS)
    size = capture.path.stat().st_size
    passes = max(3, round(asked.stream / size))
    truth = {name: passes * capture.truth[name] for name in COUNTED}
    about = {"passes": passes, "pass_bytes": size, "packets": truth["packets"]}
    programs = []
    for reader, options in READERS.items():
        print(reader, file=sys.stderr)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            record = _watch(capture.path, passes, folder, options)
            if not record["failed"]:
                counts = _count(folder, is_rotated="--rotate" in options)
                record["checked"] = compared(counts, truth)
                record["wrong"] = disagreements(counts, truth)
        programs.append({"name": reader, **about, **record})
    return {"programs": programs}


def _count(folder: Path, *, is_rotated: bool) -> dict[str, int]:
    """Count what was read; the windows' flows are cut where the windows end."""
    if not is_rotated:
        return ask("tables", folder / "tables")
    printed = (folder / "stdout").read_text().splitlines()
    windows = [json.loads(line) for line in printed]
    return {
        "packets": sum(window["packets"] for window in windows),
        "wire_bytes": sum(window["bytes"] for window in windows),
    }


def _watch(
    capture: Path, passes: int, folder: Path, options: Sequence[str]
) -> dict[str, Any]:
    """Run a feeder and ``analyze flows -`` behind it until both have ended."""
    feeder: list[str | Path] = [sys.executable, "-m", "benchmarks.endless", capture]
    root = inputs.BENCHMARKS.parent
    with (
        (folder / "stdout").open("wb") as output,
        (folder / "stderr").open("w+b") as said,
        subprocess.Popen(
            [*feeder, f"--passes={passes}"], cwd=root, stdout=subprocess.PIPE
        ) as feeding,
        subprocess.Popen(
            [*ANALYZE, "flows", "-", *options, "-o", folder / "tables"],
            cwd=root,
            stdin=feeding.stdout,
            stdout=output,
            stderr=said,
        ) as reading,
    ):
        assert feeding.stdout is not None
        feeding.stdout.close()  # the reader's end is its own now
        try:
            start = time.perf_counter()
            samples = _sample(feeding, reading, _end(passes, capture.stat().st_size))
            wall = time.perf_counter() - start
        finally:
            reading.kill()
            feeding.kill()
        said.seek(0)
        last = " ".join(said.read().decode(errors="replace").split())[-500:]
    return {
        "wall": wall,
        "samples": samples,
        "failed": f"{OURS} failed: {last}" if reading.returncode else "",
    }


def _sample(
    feeding: subprocess.Popen[bytes], reading: subprocess.Popen[bytes], total: int
) -> list[tuple[float, int, int]]:
    """Note seconds, octets sent and octets of memory in use, until the reader ends."""
    samples: list[tuple[float, int, int]] = []
    interval = INTERVAL
    start = time.perf_counter()
    sent = 0
    while reading.poll() is None:
        written = _number(r"wchar: (\d+)", f"/proc/{feeding.pid}/io")
        resident = _number(r"VmRSS:\s+(\d+)", f"/proc/{reading.pid}/status")
        sent = total if feeding.poll() is not None else max(sent, written or 0)
        if resident is not None:
            samples.append((time.perf_counter() - start, sent, resident * 1024))
        if len(samples) >= MOST_SAMPLES:
            # Of each two, that of more memory is kept: peaks are not lost.
            pairs = zip(samples[::2], samples[1::2], strict=False)
            samples = [max(pair, key=lambda sample: sample[2]) for pair in pairs]
            interval *= 2
        time.sleep(interval)
    return samples


def _end(passes: int, size: int) -> int:
    """Count the octets of so many passes: there is one file header."""
    return FILE_HEADER + passes * (size - FILE_HEADER)


def _number(pattern: str, path: str) -> int | None:
    """Read a number that the kernel tells of a process, None if it is no more."""
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


def peaks(record: dict[str, Any]) -> dict[int, int]:
    """Give the most memory in each pass; what follows the last octet comes last."""
    most: dict[int, int] = {}
    end = _end(record["passes"], record["pass_bytes"])
    for _, sent, resident in record["samples"]:
        done = sent >= end
        number = record["passes"] if done else sent // record["pass_bytes"]
        most[number] = max(most.get(number, 0), resident)
    return most


def growth(record: dict[str, Any]) -> float | None:
    """Give how much memory each further octet costs, after the first pass.

    The slope of a line through the samples, in octets per octet; None if there are
    too few of them.
    """
    end = _end(record["passes"], record["pass_bytes"])
    seen = [
        (sent, resident)
        for _, sent, resident in record["samples"]
        if record["pass_bytes"] <= sent < end
    ]
    if len({sent for sent, _ in seen}) < 3:
        return None
    import numpy as np

    x, y = np.array(seen, float).T
    return float(np.polyfit(x, y, 1)[0])


def faults(result: dict[str, Any]) -> list[str]:
    """Say what failed or was wrong."""
    return [
        f"{record['name']}: {fault}"
        for record in result["programs"]
        for fault in [*filter(None, [record["failed"]]), *record.get("wrong", [])]
    ]


def markdown(result: dict[str, Any]) -> str:
    """Write one row a reader: what it took at first, later, and to finish."""
    return tables.table(HEADINGS, map(_row, result["programs"]))


def _row(record: dict[str, Any]) -> list[str]:
    if record["failed"]:
        row = [record["name"], f"**failed:** {record['failed']}"]
        return [*row, *[""] * (len(HEADINGS) - 2)]
    passes, most, slope = record["passes"], peaks(record), growth(record)
    return [
        record["name"],
        f"{passes * record['pass_bytes'] / 1e9:.1f}",
        count(record["packets"]),
        str(passes),
        f"{record['wall']:.1f}",
        count(record["packets"] / record["wall"]),
        *(
            mebibytes(most[number]) if number in most else ""
            for number in (0, 1, passes - 1, passes)
        ),
        "" if slope is None else digits(slope * 1e9 / 2**20),
        tables.agreement(record),
    ]


def chart(result: dict[str, Any]) -> alt.Chart:
    """Draw the memory in use over time."""
    rows = [
        {"name": record["name"], "x": seconds, "y": resident / 2**20}
        for record in result["programs"]
        for seconds, _, resident in record["samples"]
    ]
    one = result["programs"][0]
    amount = one["passes"] * one["pass_bytes"] / 1e9
    heading = f"{amount:.1f} GB through a pipe"
    return lines(rows, heading, "seconds", "MiB resident", points=False)
