"""A graph of paths as the few objects that a picture has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analyzer.analysis.paths import path_edges
from analyzer.diagram.palette import service_colours

if TYPE_CHECKING:
    import polars as pl

    from analyzer.analysis.paths import PathGraph


@dataclass(frozen=True)
class Band:
    """The connections of a bundle that are of one service and equally well known."""

    service: str | None
    is_observed: bool
    evidence: str | None
    connections: int
    octets: int


@dataclass(frozen=True)
class Bundle:
    """All connections that take one step between the same two vertices.

    ``latency`` and ``clock_bound`` are nanoseconds, None where nothing was measured.
    """

    step: str
    source: str
    target: str
    connections: int
    octets: int
    per_second: float | None
    measured: int
    latency: float | None
    clock_bound: float | None
    lost_segments: int
    dnat: int
    snat: int
    unanswered: int
    tunnel: str | None
    vni: int | None
    outer_client_ip: str | None
    outer_backend_ip: str | None
    bands: tuple[Band, ...] = ()

    def unseen(self) -> dict[str, int]:
        """Count connections by the evidence they have in place of a sighting."""
        counts: dict[str, int] = {}
        for band in self.bands:
            if band.evidence not in (None, "observed"):
                counts[band.evidence] = counts.get(band.evidence, 0) + band.connections
        return counts


@dataclass(frozen=True)
class Vertex:
    """A row of the graph's nodes."""

    id: str
    lane: str
    kind: str | None
    name: str | None
    namespace: str | None
    address: str | None
    port: int | None
    protocol: str | None
    node: str | None
    workload: str | None
    service: str | None
    connections: int
    octets: int
    members: int = 1


@dataclass(frozen=True)
class Host:
    """A node of the cluster."""

    node: str
    address: str | None = None
    nic: str | None = None
    tunnel_device: str | None = None
    tunnel_address: str | None = None
    vni: int | None = None
    members: int = 1
    idle_pods: int = 0


@dataclass(frozen=True)
class Pod:
    """An address that answered, or could have."""

    address: str
    pod: str | None
    namespace: str | None
    node: str | None
    workload: str | None
    device: str | None
    services: tuple[str, ...]


@dataclass
class Picture:
    """What a picture shows.

    Parameters
    ----------
    vertices : dict of str to Vertex
    bundles : list of Bundle
        In the order of the path.
    hosts : dict of str to Host
    pods : list of Pod
        With those that got nothing.
    colours : dict of str to str
        Of services, the busiest first.
    connections : int
    seconds : float
        From the first to the last packet.
    example : dict, optional
        One connection's addresses, see
        :func:`analyzer.analysis.paths.facts.example_connection`.
    """

    vertices: dict[str, Vertex] = field(default_factory=dict)
    bundles: list[Bundle] = field(default_factory=list)
    hosts: dict[str, Host] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    colours: dict[str, str] = field(default_factory=dict)
    connections: int = 0
    seconds: float = 0.0
    example: dict[str, Any] | None = None


def picture(graph: PathGraph) -> Picture:
    """Read a graph into objects."""
    totals = _rows(path_edges(graph.sums, by=()))
    bands: dict[tuple[str, str, str], list[Band]] = {}
    services: dict[str, int] = {}
    for row in _rows(graph.edges):
        key = (row["step"], row["source"], row["target"])
        band = Band(
            row["service"],
            row["is_observed"],
            row["evidence"],
            row["connections"],
            row["octets"],
        )
        bands.setdefault(key, []).append(band)
        if row["step"] == "call" and row["service"] is not None:
            services[row["service"]] = (
                services.get(row["service"], 0) + row["connections"]
            )
    bundles = []
    for row in totals:
        del row["packets"]
        key = (row["step"], row["source"], row["target"])
        bundles.append(Bundle(**row, bands=tuple(bands[key])))
    span = graph.sums.select(_seconds()).collect().item() or 0.0
    return Picture(
        vertices={row["id"]: Vertex(**row) for row in _rows(graph.nodes)},
        bundles=bundles,
        hosts={row["node"]: Host(**row) for row in _rows(graph.hosts)},
        pods=[
            Pod(**{**row, "services": tuple(row["services"])})
            for row in _rows(graph.pods)
        ],
        colours=service_colours(sorted(services, key=lambda each: -services[each])),
        connections=sum(each.connections for each in bundles if each.step == "call"),
        seconds=span,
        example=next(iter(_rows(graph.example)), None),
    )


def _seconds() -> pl.Expr:
    import polars as pl

    span = pl.col("end_time").max() - pl.col("start_time").min()
    return span.dt.total_nanoseconds() / 1e9


def _rows(frame: pl.LazyFrame) -> list[dict[str, Any]]:
    """Give rows with durations in nanoseconds."""
    import polars as pl

    durations = pl.selectors.duration()
    return frame.with_columns(durations.dt.total_nanoseconds()).collect().to_dicts()
