"""Captures to tables: the one place where the stages meet."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import ExitStack, contextmanager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import analyzer
from analyzer.capture import CHUNK_SIZE, capture_stem
from analyzer.capture.observation import point_name, split_name
from analyzer.capture.reading import Captures
from analyzer.capture.series import joined_interfaces, joined_summary, series_path
from analyzer.decode import (
    STOP_LAYERS,
    AddressTable,
    PacketBatches,
    address_texts,
    describe_frames,
    make_decoder,
)
from analyzer.errors import AnalyzerError, QueryError
from analyzer.flows import FlowBuilder, FlowNames
from analyzer.flows.scanner import Scanner
from analyzer.tables import Tables, map_arrow
from analyzer.tables.batch import (
    index_array,
    plain_schema,
    text_array,
    with_dictionaries,
)
from analyzer.tables.directory import DirectoryWriter, table_metadata
from analyzer.tables.schema import (
    PROTOCOL_NAMES,
    STOP_REASONS,
    TCP_STATES,
    TUNNELS,
    arrow_schema,
)
from analyzer.tables.windows import (
    hold_directory,
    move_window,
    partial_path,
    window_name,
)
from analyzer.threads import available_threads, leave_signals

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from concurrent.futures import Future
    from typing import Self, Unpack

    import polars as pl
    import pyarrow as pa

    from analyzer.capture.following import Following
    from analyzer.capture.reading import Reading
    from analyzer.capture.series import Series
    from analyzer.cluster import Cluster
    from analyzer.tables.captures import CaptureSummary

    Path_ = str | os.PathLike[str]
    Progress = Callable[[int, int | None], None]

IDLE_TIMEOUT = 300.0


def scan_packets(
    paths: Path_ | Iterable[Path_],
    *,
    vxlan_ports: Sequence[int] = (),
    points: Mapping[Path_, str] | None = None,
    cluster: Cluster | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> pl.LazyFrame:
    """Scan captures as the packets table, lazily.

    Parameters
    ----------
    paths : path or iterable of path
        Captures, read in this order; ``-`` is standard input.
    vxlan_ports : sequence of int
        UDP ports that carry VXLAN besides 4789.
    points : mapping of path to str, optional
        Where captures were taken, ``node/interface``.
    cluster : Cluster, optional
        Names observation points.
    chunk_size : int
        Octets to read at a time; the table does not depend on it.

    Returns
    -------
    pl.LazyFrame
        One row per captured frame, in capture order: see
        :data:`analyzer.tables.schema.PACKETS`. Columns that the query does not need
        are not decoded into rows, and reading stops after the rows it needs.
    """
    import polars as pl
    from polars.io.plugins import register_io_source

    files = _paths(paths)

    def packets(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,  # noqa: ARG001  batches have the size of the buffers
    ) -> Iterator[pl.DataFrame]:
        with _one_pass(
            files,
            vxlan_ports=vxlan_ports,
            points=points,
            cluster=cluster,
            threads=1,  # a query may stop early, and go on in threads of its own
            chunk_size=chunk_size,
        ) as run:
            run.want_packets(wanted=with_columns, most=n_rows)
            for batch in run.read():
                frame = pl.from_arrow(run.finish_packets(batch))
                assert isinstance(frame, pl.DataFrame)  # noqa: S101  a batch
                yield frame if predicate is None else frame.filter(predicate)

    empty = pl.from_arrow(arrow_schema("packets").empty_table())
    assert isinstance(empty, pl.DataFrame)  # noqa: S101  a table, no column
    return register_io_source(
        packets, schema=empty.schema, is_pure=True, explain_name="CAPTURE"
    )


def build_tables(
    paths: Path_ | Iterable[Path_],
    *,
    cluster: Cluster | None = None,
    points: Mapping[Path_, str] | None = None,
    vxlan_ports: Sequence[int] = (),
    idle_timeout: float = IDLE_TIMEOUT,
    active_timeout: float | None = None,
    packets: bool = False,
    filter: str | None = None,  # noqa: A002  the word of the command line
    threads: int | None = None,
    progress: Progress | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> Tables:
    """Build the tables of captures in memory.

    Parameters
    ----------
    paths : path or iterable of path
        Captures, read in this order; ``-`` is standard input.
    cluster : Cluster, optional
        Names observation points.
    points : mapping of path to str, optional
        Where captures were taken, ``node/interface``.
    vxlan_ports : sequence of int
        UDP ports that carry VXLAN besides 4789.
    idle_timeout : float
        Seconds without a packet after which a flow ends.
    active_timeout : float, optional
        Seconds after which a flow is cut although it goes on.
    packets : bool
        Build the packets table, too.
    filter : str, optional
        SQL condition over the flows' columns; other flows are left out.
    threads : int, optional
        Threads that decode and build flows; one per processor if not given. The tables
        do not depend on it.
    progress : callable, optional
        Told the octets read so far and those of all files, None for a stream.
    chunk_size : int
        Octets to read at a time; the tables do not depend on it.

    Returns
    -------
    Tables
        With ``flows``, ``connections``, ``hops``, ``clocks`` and, if asked for,
        ``packets``.

    Raises
    ------
    CaptureError
        If a file cannot be read or is not a capture. A capture that breaks off is
        read up to the damage, which its summary tells.
    QueryError
        If the condition does not fit the flows' columns.
    """
    import pyarrow as pa

    condition = _Condition(filter)
    with _one_pass(
        _paths(paths),
        vxlan_ports=vxlan_ports,
        points=points,
        cluster=cluster,
        threads=threads,
        progress=progress,
        chunk_size=chunk_size,
    ) as run:
        run.want_flows(idle_timeout, active_timeout)
        if packets:
            run.want_packets()
        packet_batches = list(run.read())
        metadata = run.metadata()
        flows = pa.Table.from_batches(
            [condition.keep(batch) for batch in run.flow_batches(reuse=False)],
            arrow_schema("flows"),
        ).replace_schema_metadata(metadata)
        tables: dict[str, pa.Table | Path] = {"flows": flows}
        for name, batches in _correlated(flows, cluster, reuse=False):
            tables[name] = pa.Table.from_batches(
                batches, arrow_schema(name)
            ).replace_schema_metadata(metadata)
        if packets:
            tables["packets"] = pa.Table.from_batches(
                [run.finish_packets(batch) for batch in packet_batches],
                arrow_schema("packets"),
            ).replace_schema_metadata(metadata)
        return Tables(tables, run.summaries)


def write_tables(
    captures: Sequence[Path_],
    directory: Path,
    *,
    cluster: Cluster | None = None,
    points: Mapping[Path_, str] | None = None,
    vxlan_ports: Sequence[int] = (),
    idle_timeout: float = IDLE_TIMEOUT,
    active_timeout: float | None = None,
    packets: bool = False,
    parquet: bool = False,
    filter: str | None = None,  # noqa: A002  the word of the command line
    threads: int | None = None,
    progress: Progress | None = None,
    following: Following | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> Tables:
    """Build the tables of captures in a directory, in bounded memory.

    Parameters
    ----------
    captures : sequence of path
        Read in this order; ``-`` is standard input.
    directory : Path
        Made if need be; tables of an earlier run in it are replaced.
    parquet : bool
        Write Parquet files instead of Arrow IPC files.
    following : Following, optional
        Read on when a capture ends, or for so long only.
    cluster, points, vxlan_ports, idle_timeout, active_timeout, packets, filter,
    threads, progress, chunk_size
        As for :func:`build_tables`.

    Returns
    -------
    Tables
        On disk.

    Raises
    ------
    CaptureError, QueryError
        As for :func:`build_tables`.
    TablesError
        If the directory exists and is not a tables directory.
    """
    condition = _Condition(filter)
    with (
        DirectoryWriter(directory, parquet=parquet) as writer,
        _one_pass(
            _paths(captures),
            vxlan_ports=vxlan_ports,
            points=points,
            cluster=cluster,
            threads=threads,
            progress=progress,
            following=following,
            chunk_size=chunk_size,
        ) as run,
    ):
        run.want_flows(idle_timeout, active_timeout, scratch=directory)
        with following or nullcontext():
            scratch = _read_all(run, writer, packets=packets)
        return _write_all(run, writer, condition, cluster, scratch)


class TableOptions(TypedDict, total=False):
    """What :func:`write_tables` and :func:`write_windows` make of captures."""

    cluster: Cluster | None
    points: Mapping[Path_, str] | None
    vxlan_ports: Sequence[int]
    idle_timeout: float
    active_timeout: float | None
    packets: bool
    parquet: bool
    filter: str | None
    threads: int | None
    following: Following | None


def write_windows(
    captures: Sequence[Path_],
    directory: Path,
    *,
    every: float,
    complete: Callable[[Path, Tables], None],
    progress: Progress | None = None,
    **options: Unpack[TableOptions],
) -> None:
    """Build tables of captures for each window of their time, in bounded memory.

    Parameters
    ----------
    captures : sequence of path
        Read side by side, each up to the end of the window; ``-`` is standard input.
    directory : Path
        Gets a tables directory ``window=TIME`` for each window in which there are
        frames: the layout of a Hive partition. Those of an earlier run are kept,
        unless they are of the same window.
    every : float
        Seconds that a window is long. Windows begin at multiples of it since the epoch
        (UTC).
    complete : callable
        Told the directory of each window, in order, as soon as it is complete, and its
        tables: of each capture all frames from the first one of the window to the first
        one of a later window. A flow that goes on is cut at the border; it has a row in
        each window.
    progress : callable, optional
        As for :func:`build_tables`.
    **options
        As for :func:`write_tables`.

    Raises
    ------
    CaptureError, QueryError
        As for :func:`build_tables`.
    TablesError
        If the directory has something else than windows, or another run writes into it.

    Notes
    -----
    A window is correlated and written while the next one is read, in a thread that also
    calls `complete`.
    """
    from concurrent.futures import ThreadPoolExecutor

    condition = _Condition(options.get("filter"))
    cluster = options.get("cluster")
    following = options.get("following")

    def write(
        held: ExitStack,
        run: _Run,
        writer: DirectoryWriter,
        scratch: Path | None,
        place: Path,
    ) -> None:
        with held:
            _write_all(run, writer, condition, cluster, scratch)
        complete(place, move_window(writer.directory, place))

    with (
        hold_directory(directory),
        ThreadPoolExecutor(1, initializer=leave_signals) as behind,
        following or nullcontext(),
        Captures(
            _paths(captures),
            points=options.get("points"),
            following=following,
            progress=progress,
        ) as sources,
    ):
        written: Future[None] | None = None
        for number in itertools.count():
            if not sources.next_window(int(every * 1_000_000_000)):
                break
            partial = partial_path(directory, number)
            writer = DirectoryWriter(partial, parquet=options.get("parquet", False))
            run = _Run(
                sources,
                vxlan_ports=options.get("vxlan_ports", ()),
                cluster=cluster,
                threads=options.get("threads"),
            )
            with ExitStack() as stack:
                stack.enter_context(writer)
                stack.enter_context(run)
                run.want_flows(
                    options.get("idle_timeout", IDLE_TIMEOUT),
                    options.get("active_timeout"),
                    scratch=partial,
                )
                packets = options.get("packets", False)
                scratch = _read_all(run, writer, packets=packets)
                held = stack.pop_all()
            if written is not None:
                written.result()
            place = directory / window_name(sources.window_start)
            written = behind.submit(write, held, run, writer, scratch, place)
        if written is not None:
            written.result()


def _read_all(run: _Run, writer: DirectoryWriter, *, packets: bool) -> Path | None:
    """Read all of a run; packets go into a file that the writer will remove."""
    if not packets:
        for _ in run.read():
            pass
        return None
    import pyarrow as pa

    # The dictionaries are known at the end; until then packets keep indices.
    scratch = writer.scratch("packets.indices")
    run.want_packets()
    with (
        pa.OSFile(os.fsencode(scratch), "wb") as file,
        pa.ipc.new_file(file, plain_schema("packets")) as stored,
    ):
        for batch in run.read():
            stored.write_batch(batch)
    return scratch


def _write_all(
    run: _Run,
    writer: DirectoryWriter,
    condition: _Condition,
    cluster: Cluster | None,
    scratch: Path | None,
) -> Tables:
    """Write the tables of a run that has been read."""
    metadata = run.metadata()
    writer.write("flows", map(condition.keep, run.flow_batches(reuse=True)), metadata)
    flows, forget = map_arrow(writer.partial("flows"))
    for name, batches in _correlated(flows, cluster, reuse=True, forget=forget):
        writer.write(name, batches, metadata)
    if scratch is not None:
        writer.write("packets", _finished_packets(run, scratch), metadata)
    return Tables({name: writer.path(name) for name in writer.written}, run.summaries)


def _finished_packets(run: _Run, scratch: Path) -> Iterator[pa.RecordBatch]:
    """Give the packets that were put aside, without keeping what was read of them."""
    stored, forget = map_arrow(scratch)
    for batch in stored.to_batches():
        yield run.finish_packets(batch)
        if forget is not None:
            forget()


def correlate_again(tables: Tables, cluster: Cluster) -> Tables:
    """Join the flows of earlier tables once more, with cluster state.

    Parameters
    ----------
    tables : Tables
        With ``flows``; its other tables are made anew, ``packets`` is kept.
    cluster : Cluster
        Takes the place of what the tables were made with.

    Returns
    -------
    Tables
        Correlated in memory. Observation points keep the names that they have.
    """
    import pyarrow as pa

    metadata = tables.arrow("flows").schema.metadata
    made: dict[str, pa.Table | Path] = {
        name: tables.arrow(name) for name in ("flows", "packets") if name in tables
    }
    for name, batches in _correlated(tables.arrow("flows"), cluster, reuse=False):
        made[name] = pa.Table.from_batches(
            batches, arrow_schema(name)
        ).replace_schema_metadata(metadata)
    return Tables(made, tables.captures)


def _correlated(
    flows: pa.Table,
    cluster: Cluster | None,
    *,
    reuse: bool,
    forget: Callable[[], object] | None = None,
) -> Iterator[tuple[str, Iterable[pa.RecordBatch]]]:
    """Make the tables of connections from that of flows, a batch at a time."""
    from analyzer.correlate import correlate_in_parts
    from analyzer.tables.convert import to_arrow, to_frame

    # A text of its own for every flow, that correlation does not need.
    frame = to_frame(flows.drop_columns(["community_id"]))
    found = correlate_in_parts(frame, cluster, reuse=reuse, forget=forget)
    yield "connections", found.connections
    for name in ("hops", "clocks"):
        yield name, to_arrow(getattr(found, name), name).to_batches()


def summarise(
    captures: Sequence[Path_],
    *,
    vxlan_ports: Sequence[int] = (),
    points: Mapping[Path_, str] | None = None,
    cluster: Cluster | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[CaptureSummary]:
    """Decode captures for their totals alone."""
    with _one_pass(
        _paths(captures),
        vxlan_ports=vxlan_ports,
        points=points,
        cluster=cluster,
        threads=threads,
        progress=progress,
    ) as run:
        for _ in run.read():
            pass
        return run.summaries


class _Run:
    """One pass over captures, and what their tables share."""

    def __init__(
        self,
        captures: Captures,
        *,
        vxlan_ports: Sequence[int],
        cluster: Cluster | None,
        threads: int | None,
    ) -> None:
        self._captures = captures
        self._given = captures.points
        self._names: list[str] = []
        self._cluster = cluster
        self._threads = threads or available_threads()
        self._addresses = AddressTable()
        self._decoders = [make_decoder(vxlan_ports) for _ in range(self._threads)]
        self._scanner: Scanner | None = None
        self._flows: FlowBuilder | None = None
        self._packets: PacketBatches | None = None
        self._point_names: list[str] = []
        self._point_captures: list[int] = []
        self.summaries: list[CaptureSummary] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._scanner is not None:
            self._scanner.close()
        if self._flows is not None:
            self._flows.close()

    def want_flows(
        self,
        idle_timeout: float,
        active_timeout: float | None,
        scratch: Path | None = None,
    ) -> None:
        """Build flows on the way."""
        self._flows = FlowBuilder(
            self._addresses,
            idle_timeout=idle_timeout,
            active_timeout=active_timeout,
            threads=self._threads,
            scratch=None if scratch is None else os.fspath(scratch),
        )

    def want_packets(
        self, wanted: Sequence[str] | None = None, most: int | None = None
    ) -> None:
        """Give rows of packets on the way."""
        self._packets = PacketBatches(self._addresses, wanted=wanted, most=most)

    def read(self) -> Iterator[pa.RecordBatch]:
        """Read all captures; give batches of packets with dictionary indices."""
        self._scanner = Scanner(self._decoders, self._flows, self._packets)
        while (reading := self._captures.take()) is not None:
            yield from self._read_capture(reading, self._scanner)
            if self._packets is not None and self._packets.rows.satisfied:
                return

    def flow_batches(self, *, reuse: bool) -> Iterator[pa.RecordBatch]:
        """Give all flows, once; with `reuse` each batch is lost with the next."""
        assert self._flows is not None  # noqa: S101  a mistake of this module
        met = self._flows.protocols
        dictionaries = self._dictionaries(met)
        points = _unique(self._point_names)
        protocols = {number: index for index, number in enumerate(met)}
        names = FlowNames(
            self._point_captures,
            [points[name] for name in self._point_names],
            [protocols.get(number, 0) for number in range(256)],
        )
        schema = arrow_schema("flows")
        for batch in self._flows.batches(names, reuse=reuse):
            yield with_dictionaries(batch, schema, dictionaries)

    def finish_packets(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Give a batch of packets the meaning of its indices, as known by now."""
        assert self._packets is not None  # noqa: S101  a mistake of this module
        assert self._scanner is not None  # noqa: S101  nor read yet
        self._name_points(self._scanner)
        dictionaries = self._dictionaries(self._packets.protocols)
        if "point" in batch.schema.names:
            points = _unique(self._point_names)
            if len(points) < len(self._point_names):
                at = batch.schema.get_field_index("point")
                indices = index_array([points[name] for name in self._point_names])
                batch = batch.set_column(
                    at, batch.schema.field(at), indices.take(batch.column(at))
                )
        return with_dictionaries(batch, arrow_schema("packets"), dictionaries)

    def metadata(self) -> dict[bytes, bytes]:
        """Say what the tables were made from."""
        return table_metadata(self.summaries, analyzer.__version__)

    def _read_capture(
        self, reading: Reading, scanner: Scanner
    ) -> Iterator[pa.RecordBatch]:
        """Read the files that are one capture, up to the end of the window."""
        started = time.perf_counter()
        scanner.begin_capture()
        number = len(self._names)
        self._names.append(self._captures.name(reading.series))
        self._current = reading
        self._files: list[CaptureSummary] = []
        flows, packets = self._flows, self._packets
        if flows is not None:
            flows.begin_capture()
        for capture in reading.files(self._captures.window):
            self._capture = capture
            for _ in reading.fillings():
                while not scanner.scan(capture.reader):
                    assert packets is not None  # noqa: S101  only packets fill up
                    scanner.finish()
                    yield packets.take(number)
                    if packets.rows.satisfied:
                        return
                if flows is not None and flows.worth_spooling:
                    scanner.finish()
                    flows.spool_ended()
            scanner.finish()
            reading.reach(scanner.decoder.counts["end_time"])
            self._files.append(capture.summary())
        if packets is not None and packets.rows.count:
            yield packets.take(number)
        if flows is not None:
            flows.end_capture(last=not self._captures.waiting)
        self._name_points(scanner)
        summary = joined_summary(self._names[number], reading.series, self._files)
        describe_frames(scanner.decoder, summary)
        summary.points = list(
            dict.fromkeys(
                name
                for name, of in zip(
                    self._point_names, self._point_captures, strict=True
                )
                if of == number
            )
        )
        summary.seconds = time.perf_counter() - started
        self.summaries.append(summary)

    def _name_points(self, scanner: Scanner) -> None:
        """Name the observation points that the decoder has met by now."""
        met = scanner.capture_points
        new = [point for point in met if point >= len(self._point_names)]
        if not new:
            return
        number = len(self._names) - 1
        stem = capture_stem(self._names[number])
        interfaces = joined_interfaces([*self._files, self._capture.summary()])
        cluster = self._cluster
        nodes = [node.name for node in cluster.nodes] if cluster else []
        given = self._given_point(self._current.series)
        node = (given or "").partition("/")[0] or split_name(stem, nodes)[0]
        for point in new:
            interface, index = met[point]
            self._point_names.append(
                point_name(
                    stem,
                    given=given,
                    interface=interfaces[interface].name,
                    index=index,
                    names=_interface_names(cluster, node),
                    nodes=nodes,
                )
            )
            self._point_captures.append(number)

    def _given_point(self, series: Series) -> str | None:
        """Look for the point that a file was given, or the series of the file."""
        paths = [file.path for file in series.files]
        common = series_path(paths[0])
        names = (*paths, common, Path(common).name)
        return next((self._given[name] for name in names if name in self._given), None)

    def _dictionaries(self, protocols: list[int]) -> dict[str, pa.Array]:
        addresses = address_texts(self._addresses)
        return {
            "capture": text_array(self._names),
            "point": text_array(_unique(self._point_names)),
            "protocol": text_array(
                PROTOCOL_NAMES.get(number, str(number)) for number in protocols
            ),
            "tunnel": text_array(TUNNELS),
            "tcp_state": text_array(TCP_STATES),
            "stop_reason": text_array(STOP_REASONS),
            "stop_layer": text_array(STOP_LAYERS),
            **dict.fromkeys(
                (
                    "originator_ip",
                    "responder_ip",
                    "outer_originator_ip",
                    "outer_responder_ip",
                    "src_ip",
                    "dst_ip",
                    "outer_src",
                    "outer_dst",
                ),
                addresses,
            ),
        }


@contextmanager
def _one_pass(
    paths: list[str],
    *,
    vxlan_ports: Sequence[int],
    points: Mapping[Path_, str] | None,
    cluster: Cluster | None,
    threads: int | None,
    progress: Progress | None = None,
    following: Following | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> Iterator[_Run]:
    """Read captures, each from its beginning to its end."""
    with (
        Captures(
            paths,
            points=points,
            following=following,
            progress=progress,
            chunk_size=chunk_size,
        ) as captures,
        _Run(
            captures, vxlan_ports=vxlan_ports, cluster=cluster, threads=threads
        ) as run,
    ):
        yield run


class _Condition:
    """An SQL condition over the flows' columns, checked before anything is read."""

    def __init__(self, text: str | None) -> None:
        self._expression: pl.Expr | None = None
        if text is None:
            return
        import polars as pl

        hint = "an SQL condition such as \"protocol = 'tcp' and responder_port = 80\""
        try:
            self._expression = pl.sql_expr(text)
            kind = self._evaluate(arrow_schema("flows").empty_table()).dtype
        except pl.exceptions.ColumnNotFoundError as error:
            name = str(error).split('"')[1] if '"' in str(error) else str(error)
            near = get_close_matches(name, arrow_schema("flows").names, n=1, cutoff=0.5)
            raise QueryError(
                f"--filter {text!r}: flows have no column {name!r}",
                hint=f"did you mean {near[0]}?" if near else hint,
            ) from error
        except pl.exceptions.PolarsError as error:
            raise QueryError(
                f"--filter {text!r}: {str(error).splitlines()[0]}", hint=hint
            ) from error
        if kind != pl.Boolean:
            raise QueryError(
                f"--filter {text!r}: gives {kind}, not true or false", hint=hint
            )

    def keep(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out the rows for which the condition does not hold."""
        if self._expression is None:
            return batch
        return batch.filter(self._evaluate(batch).to_arrow())

    def _evaluate(self, rows: pa.Table | pa.RecordBatch) -> pl.Series:
        import polars as pl

        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)  # noqa: S101  rows, no column
        return frame.lazy().select(self._expression).collect().to_series()


def _paths(paths: Path_ | Iterable[Path_]) -> list[str]:
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    found = [os.fspath(path) for path in paths]
    if not found:
        raise AnalyzerError("no capture was given")
    return found


def _unique(names: list[str]) -> dict[str, int]:
    """Give each name a number, in order of appearance."""
    return {name: index for index, name in enumerate(dict.fromkeys(names))}


def _interface_names(cluster: Cluster | None, node: str | None) -> dict[int, str]:
    if cluster is None or node is None:
        return {}
    return {
        interface.index: interface.name
        for interface in cluster.interfaces
        if interface.node == node and interface.index is not None
    }
