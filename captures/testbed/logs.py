"""What the servers say: which client address and port reached which pod.

The truth comes from conntrack; these logs are an independent witness, and
`disagreements` must find nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HTTP = re.compile(
    r"(?P<time>\d+\.\d+) pod=\S+ conn=(?P<connection>\S+) req=(?P<request>\d+) "
    r"client=(?P<ip>\S+):(?P<port>\d+) server=\S+ sent=(?P<sent>\d+|-) "
    r"status=(?P<status>\d+)"
)
REDIS = re.compile(r"Accepted (?P<ip>\S+):(?P<port>\d+)")
DNS = re.compile(
    r"dnsmasq\[\d+\]: (?P<number>\d+) (?P<ip>[0-9a-f.:]+)/(?P<port>\d+) query\["
)


@dataclass
class Visit:
    """One connection (for DNS: one query) as a server's log tells it."""

    pod: str
    ip: str
    port: int
    requests: int | None = None
    sent: int | None = None


def visits(pod: str, server: str, lines: Iterable[str]) -> list[Visit]:
    """Read one pod's log."""
    if server in ("nginx", "apache"):
        return http_visits(pod, lines)
    pattern = REDIS if server == "redis" else DNS
    found = [
        Visit(pod, match["ip"], int(match["port"]))
        for match in map(pattern.search, lines)
        if match
    ]
    if server == "dns":
        for visit in found:
            visit.requests = 1
    return found


def http_visits(pod: str, lines: Iterable[str]) -> list[Visit]:
    """Read an access log: a line per request, so one connection has several.

    apache2 counts keep-alive requests (``%k``) but not connections: a request
    number 0 begins one.
    """
    found: dict[tuple[str, str, str, int], Visit] = {}
    generation: Counter[tuple[str, str]] = Counter()
    for match in filter(None, map(HTTP.match, lines)):
        peer = (match["ip"], match["port"])
        if match["connection"] == "-" and match["request"] == "0":
            generation[peer] += 1
        key = (*peer, match["connection"], generation[peer])
        visit = found.setdefault(
            key, Visit(pod, match["ip"].strip("[]"), int(match["port"]), 0, 0)
        )
        visit.requests = (visit.requests or 0) + 1
        visit.sent = (visit.sent or 0) + int(match["sent"].replace("-", "0"))
    return list(found.values())


def attach(truth: list[dict[str, Any]], seen: Mapping[str, list[Visit]]) -> list[str]:
    """Write requests and response bytes into the truth; report every disagreement.

    Parameters
    ----------
    truth : list of dict
        Truth records in order of time; changed in place.
    seen : mapping
        Per pod the visits that its log names, in order.

    Returns
    -------
    list of str
        One sentence per connection that only one side knows.
    """
    disagreements = []
    waiting: dict[tuple[str, str, int], list[Visit]] = {}
    for pod, pod_visits in seen.items():
        for visit in pod_visits:
            waiting.setdefault((pod, visit.ip, visit.port), []).append(visit)
    for record in truth:
        pod = record["backend"]["pod"]
        if pod not in seen or record["proto"] not in ("tcp", "udp"):
            continue
        if record["outcome"] != "ok":
            continue
        last = record["tuples"][-1]
        key = (pod, last["src"], last["sport"])
        queue = waiting.get(key)
        if not queue:
            disagreements.append(f"{record['id']}: {pod} logged nothing from {key[1:]}")
            continue
        visit = queue.pop(0)
        record["requests"], record["response_bytes"] = visit.requests, visit.sent
    for (pod, ip, port), queue in waiting.items():
        if queue:
            disagreements.append(
                f"{pod} logged {len(queue)} more connections from {ip}:{port}"
            )
    return disagreements
