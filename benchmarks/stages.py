"""Tell where the time of ``analyze flows`` goes, stage by stage, on one thread.

Each stage is timed by itself, in this process, on what the stages before it gave; the
first three by what each of them adds to a pass over the capture. The whole command is
timed as a process. What the stages do not explain is the rest: the summary that is
printed, and what is moved between stages.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import analyzer
from analyzer.capture import CHUNK_SIZE, Capture
from analyzer.decode import AddressTable, make_decoder
from analyzer.flows import FlowBuilder, FlowNames
from analyzer.flows.scanner import Scanner
from analyzer.pipeline import IDLE_TIMEOUT
from analyzer.threads import limit_threads
from benchmarks import process
from benchmarks.programs import ANALYZE, floor, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    import pyarrow as pa

    from analyzer.cluster import Cluster
    from analyzer.tables import Tables
    from analyzer.tables.directory import DirectoryWriter

SMALL = 100  # packets of a capture that takes nothing but start-up


class Stage(NamedTuple):
    """A stage's name and what it does; ``is_extra`` if only some commands do it."""

    name: str
    does: str
    is_extra: bool = False


STAGES = (
    Stage("read", "copy the file from the page cache, 256 KiB at a time"),
    Stage("decode", "walk records; Ethernet to TCP, inside VXLAN, too"),
    Stage("flow table", "hash, look up, account; packet ids and fingerprints"),
    Stage("columns", "flow records to Arrow columns, with Community IDs"),
    Stage("write flows", "`flows.arrow` to the page cache, and fsync"),
    Stage("correlate", "flows to connections, hops and clocks"),
    Stage("write connections", "`connections.arrow`, `hops.arrow`, `clocks.arrow`"),
    Stage("start-up", "the interpreter, imports, empty tables, the summary's layout"),
)
REST = "the rest"
WHOLE = "the whole command"
NAMES = Stage("names", "with `--cluster`: find names, believe them, write them", True)
FLOOR = "C floor, for comparison"


def time_stages(path: Path, rounds: int) -> dict[str, Any]:
    """Time every stage on a capture, some rounds.

    Parameters
    ----------
    path : Path
        A capture; the C floor takes part where it is little-endian pcap of Ethernet.
    rounds : int

    Returns
    -------
    dict
        ``packets``, ``flows``, ``connections`` and ``seconds``: for each stage, the
        whole command and the C floor, one number a round.
    """
    limit_threads(1)
    seconds: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        small = _first_packets(path, scratch / "small.pcap")
        measuring = floor(scratch)
        _round(small, scratch)  # for imports, which start-up has
        for _ in range(rounds):
            taken, counts = _round(path, scratch)
            for command, capture in (("start-up", small), (WHOLE, path)):
                taken[command] = _whole(capture, scratch)
            if not measuring.missing and _is_for_floor(path):
                output = scratch / "floor.out"
                used = process.run(measuring.command(path, scratch), output)
                assert parse(output)["packets"] == counts["packets"]
                taken[FLOOR] = used["wall"]
            for stage, took in taken.items():
                seconds.setdefault(stage, []).append(took)
    return {**counts, "seconds": seconds}


def _round(path: Path, scratch: Path) -> tuple[dict[str, float], dict[str, int]]:
    """Time every stage once; count what it was done with."""
    from analyzer.cluster.inferred import as_objects, infer
    from analyzer.correlate import correlate_in_parts
    from analyzer.tables.directory import DirectoryWriter

    taken = {"read": _timed(_read, path)[0]}
    decoding, packets = _timed(_decode, path)
    following, flow_builder = _timed(follow, path)
    taken["decode"] = decoding - taken["read"]
    taken["flow table"] = following - decoding
    taken["columns"], rows = _timed(fill_columns, flow_builder)

    tables = analyzer.build_tables(path)
    flows = tables.arrow("flows")
    assert flows.num_rows == rows
    frame = _frame(flows)

    def connect(cluster: Cluster | None) -> int:
        found = correlate_in_parts(frame, cluster, reuse=True)
        return sum(batch.num_rows for batch in found.connections)

    taken["correlate"], connections = _timed(connect, None)
    metadata = flows.schema.metadata
    with DirectoryWriter(scratch / "stage.tables") as writer:
        taken["write flows"], _ = _timed(
            lambda: writer.write("flows", flows.to_batches(), metadata)
        )
        taken["write connections"], _ = _timed(
            lambda: _write_connections(writer, tables)
        )
    state = scratch / "cluster.json"
    state.write_text(json.dumps(as_objects(infer(tables.flows, tables.connections))))
    named, _ = _timed(connect, analyzer.Cluster.load([state]))
    taken[NAMES.name] = named - taken["correlate"]
    return taken, {
        "packets": packets,
        "flows": rows,
        "connections": connections,
    }


def _timed(do: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    made = do(*arguments)
    return time.perf_counter() - start, made


def _read(path: Path) -> None:
    buffer = bytearray(CHUNK_SIZE)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _decode(path: Path) -> int:
    return _pass_over(path, None)


def follow(path: Path) -> FlowBuilder:
    """Give the flow table of a capture, every flow ended."""
    builder = FlowBuilder(
        AddressTable(), idle_timeout=IDLE_TIMEOUT, active_timeout=None
    )
    builder.begin_capture()
    _pass_over(path, builder)
    builder.end_capture(last=True)
    return builder


def _pass_over(path: Path, builder: FlowBuilder | None) -> int:
    """Read a capture with one thread; how many packets it has."""
    capture = Capture(path)
    scanner = Scanner([make_decoder(())], builder, None)
    scanner.begin_capture()
    for _ in capture.chunks():
        scanner.scan(capture.reader)
        if builder is not None and builder.worth_spooling:
            builder.spool_ended()
    return scanner.decoder.counts["packets"] or 0


def fill_columns(builder: FlowBuilder) -> int:
    """Fill the columns of all flows, and let go of the table; how many flows."""
    names = FlowNames([0], [0], [0] * 256)
    rows: int = sum(batch.num_rows for batch in builder.batches(names, reuse=True))
    builder.close()
    return rows


def _frame(flows: pa.Table) -> pl.DataFrame:
    import polars as pl

    frame = pl.from_arrow(flows.drop_columns(["community_id"]), rechunk=False)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _write_connections(writer: DirectoryWriter, tables: Tables) -> None:
    for name in ("connections", "hops", "clocks"):
        table = tables.arrow(name)
        writer.write(name, table.to_batches(), table.schema.metadata)


def _first_packets(path: Path, small: Path) -> Path:
    """Write the first packets of a pcap capture; give the capture if it is no pcap."""
    with path.open("rb") as file:
        octets = file.read(SMALL * 65536)
    if octets[:4] not in {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"}:
        return path
    end = 24
    for _ in range(SMALL):
        if end + 16 > len(octets):
            break
        end += 16 + int.from_bytes(octets[end + 8 : end + 12], "little")
    small.write_bytes(octets[:end])
    return small


def _is_for_floor(path: Path) -> bool:
    """Whether a capture is what the C floor reads: little-endian pcap of Ethernet."""
    with path.open("rb") as file:
        head = file.read(24)
    is_little = head[:4] in {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"}
    return is_little and head[20:22] == b"\x01\x00"


def _whole(capture: Path, scratch: Path) -> float:
    command: list[str | Path] = [*ANALYZE, "flows", capture]
    command += ["-o", scratch / "whole.tables"]
    return process.run([*command, "--threads", "1"], scratch / "stdout")["wall"]


def nanoseconds(result: dict[str, Any], of: str = "packets") -> dict[str, float]:
    """Give the median of every stage in nanoseconds for each packet (or flow).

    Parameters
    ----------
    result : dict
        What :func:`time_stages` gave.
    of : {"packets", "flows"}

    Returns
    -------
    dict
        By stage, in order; what the stages leave of the whole command is the rest.
    """
    median = {name: statistics.median(all_) for name, all_ in result["seconds"].items()}
    median[REST] = median[WHOLE] - sum(median[stage.name] for stage in STAGES)
    order = [*(stage.name for stage in STAGES), REST, WHOLE, NAMES.name, FLOOR]
    scale = 1e9 / result[of]
    return {name: median[name] * scale for name in order if name in median}
