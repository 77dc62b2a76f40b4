"""Network interfaces, as ``ip addr`` and ``ip -j addr`` of iproute2 show them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyzer.cluster import fields, values
from analyzer.cluster.found import Found
from analyzer.cluster.model import Interface
from analyzer.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.cluster.split import TextPart

#: The host of an interface, until it is known.
UNASSIGNED = ""

_HEAD = re.compile(r"(?P<index>\d{1,10}): (?P<name>[^\s@]+?)(?:@\S+)?: <")
_LINK = re.compile(r"link/(?:ether|loopback) (?P<mac>[\da-f]{2}(?::[\da-f]{2}){5})\b")
_INET = re.compile(r"inet6? (?P<address>[\da-fA-F.:]+)[/ ]")


def read_text(part: TextPart, path: str) -> Found:
    """Read the output of ``ip addr``, also with its indentation lost.

    Parameters
    ----------
    part : TextPart
        A part of the kind ``ip addr``.
    path : str
        The file, for the report.

    Returns
    -------
    Found
        Its interfaces, which belong to no host yet.
    """
    found = Found(path, part.line, "ip addr (text)", host=part.host)
    head: re.Match[str] | None = None
    mac: str | None = None
    addresses: list[str] = []

    def close() -> None:
        if head is not None:
            found.interfaces.append(
                Interface(
                    UNASSIGNED, int(head["index"]), head["name"], mac, tuple(addresses)
                )
            )

    for number, raw in enumerate(part.lines, part.line):
        line = raw.strip()
        if match := _HEAD.match(line):
            close()
            head, mac, addresses = match, None, []
        elif match := _LINK.match(line):
            mac = match["mac"]
        elif match := _INET.match(line):
            try:
                addresses.append(values.address(match["address"]))
            except ClusterError as error:
                found.remark(number, line, str(error))
    close()
    return found


def is_ip_addr(document: object) -> bool:
    """Tell ``ip -j addr`` from other JSON."""
    items = fields.mappings(document)
    return bool(items) and all("ifindex" in item and "ifname" in item for item in items)


def read_json(
    documents: Iterable[tuple[int, object]], path: str, host: str | None
) -> list[Found]:
    """Read what ``ip -j addr`` wrote, one Found for each document."""
    all_found = []
    for line, document in documents:
        found = Found(path, line, "ip addr (JSON)", structured=True, host=host)
        for item in fields.mappings(document):
            index, name = item["ifindex"], fields.text(item, "ifname")
            if not isinstance(index, int) or name is None:
                found.remark(line, f"interface {name}", "it has no index and name")
                continue
            addresses = []
            for entry in fields.mappings(item, "addr_info"):
                if local := fields.text(entry, "local"):
                    try:
                        addresses.append(values.address(local))
                    except ClusterError as error:
                        found.remark(line, f"interface {name}", str(error))
            mac = fields.text(item, "address")
            found.interfaces.append(
                Interface(UNASSIGNED, index, name, mac, tuple(addresses))
            )
        all_found.append(found)
    return all_found
