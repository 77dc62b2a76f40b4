"""Tables that kubectl prints, also when a paste has collapsed their columns.

A row is recognised by the shape of its cells and not by their places: widths may be
anything, the header may be missing (``kubectl get pod -o wide | grep web``), and the
cells that contain blanks (``1 (5m ago)``, ``Ubuntu 22.04.2 LTS``) are told apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.cluster import values
from analyzer.cluster.found import UNTOLD, Found
from analyzer.cluster.model import Endpoint, Node, Pod, Service, ServicePort
from analyzer.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.cluster.split import TextPart

_AGE = r"(?:<\w+>|(?:\d+[smhdy])+)"
_LABELS = r"(?:<none>|[^\s=]+=\S*)"
# "pod/" and "daemonset.apps/" are what "kubectl get all" writes before names.
_NAME = r"(?:(?P<namespace>[a-z0-9][a-z0-9-]*) )?(?:[a-z.]+/)?(?P<name>[a-z0-9][\w.-]*)"

_ROWS = {
    "pods": re.compile(
        rf"{_NAME} (?P<ready>\d+)/(?P<containers>\d+) (?P<status>[A-Z][\w:/.-]*) "
        rf"\d+(?: \([^)]* ago\))? {_AGE}"
        r"(?: (?P<ip>\S+) (?P<node>[^\s=]+)(?: \S+ (?:<none>|\d+/\d+))?)?"
        rf"(?: (?P<labels>{_LABELS}))?"
    ),
    "services": re.compile(
        rf"{_NAME} (?P<type>ClusterIP|NodePort|LoadBalancer|ExternalName) "
        rf"(?P<cluster>\S+) (?P<external>\S+) (?P<ports>\S+) {_AGE}"
        rf"(?: (?P<selector>{_LABELS}))?(?: {_LABELS})?"
    ),
    "nodes": re.compile(
        rf"{_NAME} (?:Ready|NotReady|Unknown)(?:,\w+)* \S+ {_AGE} v\d\S*"
        r"(?: (?P<internal>\S+) (?P<external>\S+) .+)?"
    ),
    "endpoints": re.compile(
        rf"{_NAME} (?P<endpoints><none>|\S+:\d+(?: \+ \d+ more\.\.\.)?) {_AGE}"
    ),
}
# What a header's columns say its rows are; the first entry that they contain decides.
_HEADERS = {
    "READY STATUS RESTARTS": "pods",
    "TYPE CLUSTER-IP EXTERNAL-IP": "services",
    "STATUS ROLES AGE": "nodes",
    "ADDRESSTYPE PORTS ENDPOINTS": "endpoint slices",
    "ENDPOINTS AGE": "endpoints",
    "DESIRED CURRENT READY UP-TO-DATE": "daemon sets",
    "READY UP-TO-DATE AVAILABLE": "deployments",
    "DESIRED CURRENT READY AGE": "replica sets",
    "COMPLETIONS DURATION": "jobs",
    "SCHEDULE": "cron jobs",
    "READY AGE": "stateful sets",
}
_HOST_NAME = re.compile(r"(?:[\w-]+\.)+[A-Za-z][\w-]*")
_NOTHING = ("<none>", "<pending>", "<unknown>", "<nil>", "None")

_PENDING = ("Pending", "ContainerCreating", "PodInitializing", "SchedulingGated")
_PULLING = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName")
_RUNNING = ("Running", "CrashLoopBackOff", "NotReady", "Terminating")
_FAILED = (
    "ContainerStatusUnknown",
    "DeadlineExceeded",
    "Error",
    "Evicted",
    "NodeAffinity",
    "NodeShutdown",
    "OOMKilled",
    "Terminated",
)
_PHASES = {
    "Completed": "Succeeded",
    **dict.fromkeys(_PENDING + _PULLING, "Pending"),
    **dict.fromkeys(_RUNNING, "Running"),
    **dict.fromkeys(_FAILED, "Failed"),
}


def read_rows(part: TextPart, path: str) -> list[Found]:
    """Read a table with or without its header.

    Parameters
    ----------
    part : TextPart
        A part of the kind ``table`` or ``rows``.
    path : str
        The file, for the report.

    Returns
    -------
    list of Found
        One for each stretch of rows of one kind; what is no row is a remark.
    """
    all_found: list[Found] = []
    shapes = _ROWS
    for number, raw in enumerate(part.lines, part.line):
        line = " ".join(raw.split())
        if number == part.line and part.kind == "table":
            title = _title_of(line)
            shapes = {title: _ROWS[title]} if title in _ROWS else {}
            all_found.append(
                Found(
                    path,
                    number,
                    f"{title} (text)",
                    used=bool(shapes),
                    is_listing=True,
                    has_namespaces=line.startswith("NAMESPACE "),
                )
            )
            continue
        if not line:  # "kubectl get all" separates its tables so
            shapes = _ROWS
            continue
        if not shapes:
            all_found[-1].others += 1
            continue
        kind, cells = _recognise(line, shapes)
        if cells is None:
            _remark_on(line, number, path, all_found)
            continue
        if not all_found or all_found[-1].kind != f"{kind} (text)":
            all_found.append(Found(path, number, f"{kind} (text)"))
        namespace = cells["namespace"] or part.namespace or UNTOLD
        row = _Row(cells, namespace, number, all_found[-1])
        try:
            _READERS[kind](row)
        except ClusterError as error:
            row.remark(error)
    return all_found


def _title_of(header: str) -> str:
    for columns, title in _HEADERS.items():
        if f" {columns} " in f"{header} ":
            return title
    return "table of another kind"


def _recognise(
    line: str, shapes: dict[str, re.Pattern[str]]
) -> tuple[str, re.Match[str] | None]:
    for kind, shape in shapes.items():
        if row := shape.fullmatch(line):
            return kind, row
    return "", None


def _remark_on(line: str, number: int, path: str, all_found: list[Found]) -> None:
    """Report a line that is no row; a whole stretch of prose is one remark."""
    if not all_found:
        all_found.append(Found(path, number, "not recognised", used=False))
    found = all_found[-1]
    reason = "no row of a known table"
    if found.used or not found.remarks:
        found.remark(number, line, reason)
        return
    first = found.remarks.pop()
    found.remark(first.line, first.text, reason, number - first.line + 1)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that was recognised, and where what it says goes."""

    cells: re.Match[str]
    namespace: str
    line: int
    found: Found

    def remark(self, error: ClusterError) -> None:
        self.found.remark(self.line, self.cells[0], str(error))


def _addresses(text: str | None) -> tuple[str, ...]:
    if text is None or text in _NOTHING:
        return ()
    return tuple(values.address(item) for item in text.split(","))


def _read_pod(row: _Row) -> None:
    cells = row.cells
    status, node = cells["status"], cells["node"]
    is_init = status.startswith("Init:")
    phase = "Pending" if is_init else _PHASES.get(status, "Unknown")
    row.found.pods.append(
        Pod(
            namespace=row.namespace,
            name=cells["name"],
            ips=_addresses(cells["ip"]),
            node=None if node in _NOTHING else node,
            phase=phase,
            ready=phase == "Running" and cells["ready"] == cells["containers"],
            labels=values.pairs(cells["labels"]) if cells["labels"] else None,
        )
    )


def _read_node(row: _Row) -> None:
    if row.cells["namespace"]:
        raise ClusterError("nodes have no namespace")
    row.found.nodes.append(
        Node(
            name=row.cells["name"],
            internal_ips=_addresses(row.cells["internal"]),
            external_ips=_addresses(row.cells["external"]),
        )
    )


def _read_service(row: _Row) -> None:
    cells = row.cells
    is_name = cells["type"] == "ExternalName"
    external_ips: list[str] = []
    for item in () if is_name else cells["external"].split(","):
        if _HOST_NAME.fullmatch(item):  # of a load balancer
            continue
        try:
            external_ips += _addresses(item)
        except ClusterError as error:
            row.remark(error)  # "192.168.2.3...", as kubectl cuts it
    ports = () if cells["ports"] == "<none>" else cells["ports"].split(",")
    row.found.services.append(
        Service(
            namespace=row.namespace,
            name=cells["name"],
            type=cells["type"],
            cluster_ips=_addresses(cells["cluster"]),
            external_ips=tuple(external_ips),
            external_name=cells["external"] if is_name else None,
            ports=tuple(_service_port(item) for item in ports),
            selector=values.pairs(cells["selector"] or "<none>"),
        )
    )


def _service_port(text: str) -> ServicePort:
    """Read ``80/TCP`` or ``80:30080/TCP``."""
    numbers, _, protocol = text.partition("/")
    port, colon, node_port = numbers.partition(":")
    return ServicePort(
        protocol=values.protocol(protocol),
        port=values.port(port),
        node_port=values.port(node_port) if colon else None,
    )


def _read_endpoints(row: _Row) -> None:
    service, listed = row.cells["name"], row.cells["endpoints"]
    if listed.endswith(" more..."):
        # A part of them would be worse than none: shares and eliminations would be
        # computed over the wrong set.
        raise ClusterError("kubectl left endpoints out; save them with -o json")
    endpoints = []
    for item in () if listed == "<none>" else listed.split(","):
        host, _, port = item.rpartition(":")
        address = values.address(host.strip("[]"))
        endpoints.append(Endpoint(row.namespace, service, address, values.port(port)))
    row.found.endpoints += endpoints
    # Those of the service's first IP version: kubectl shows no others.
    versions = {values.ip_version(item.address) for item in endpoints}
    row.found.tell_endpoints(
        (row.namespace, service), versions or values.IP_VERSIONS, is_whole=True
    )


_READERS: dict[str, Callable[[_Row], None]] = {
    "pods": _read_pod,
    "nodes": _read_node,
    "services": _read_service,
    "endpoints": _read_endpoints,
}
