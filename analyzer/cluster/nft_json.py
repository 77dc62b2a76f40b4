"""kube-proxy's rules as ``nft -j list ruleset`` writes them.

The grammar is that of libnftables-json(5): a list of objects (table, map, chain,
rule, ...), each of which names the family and table that it belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.cluster import fields, values
from analyzer.cluster.found import Found
from analyzer.cluster.nft_rules import IP_VERSIONS, Element, NftTable
from analyzer.cluster.proxy_chains import Step
from analyzer.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_nft(document: object) -> bool:
    """Tell ``nft -j`` from other JSON."""
    return isinstance(document, dict) and "nftables" in document


def read(document: object, line: int, path: str, host: str | None) -> Found:
    """Read a ruleset.

    Parameters
    ----------
    document : object
        What the JSON holds.
    line : int
        Where it starts.
    path, host
        As in :class:`Found`.

    Returns
    -------
    Found
        With a ruleset for each of kube-proxy's tables.
    """
    found = Found(path, line, "nft ruleset (JSON)", structured=True, host=host)
    tables: dict[int, NftTable] = {}
    for item in fields.mappings(document, "nftables"):
        for what, content in item.items():
            if fields.text(content, "table") != "kube-proxy":
                continue
            if version := IP_VERSIONS.get(fields.text(content, "family")):
                table = tables.setdefault(version, NftTable(line, version))
                _add(table, what, content, found)
    for table in tables.values():
        table.add_to(found)
    found.used = bool(found.rulesets)
    return found


def _add(table: NftTable, what: str, content: dict[str, Any], found: Found) -> None:
    name = fields.text(content, "name") or ""
    elements = content.get("elem")
    if what == "map":
        table.maps[name] = list(_elements(elements))
    elif what == "set" and isinstance(elements, list):
        table.sets[name] = [item for item in elements if isinstance(item, str)]
    elif what == "chain":
        table.chains.setdefault(name, [])
    elif what == "rule":
        chain = fields.text(content, "chain") or ""
        step = _step(fields.mappings(content, "expr"), found)
        table.chains.setdefault(chain, []).append(step)


def _elements(elements: object) -> Iterator[Element]:
    for pair in elements if isinstance(elements, list) else []:
        if not (isinstance(pair, list) and len(pair) == 2):
            continue
        key, verdict = pair
        key = fields.mapping(key, "elem").get("val", key)  # if it has a comment
        parts = key.get("concat") if isinstance(key, dict) else None
        target = fields.text(verdict, "goto", "target")
        if isinstance(verdict, dict) and "drop" in verdict:
            target = "drop"
        if isinstance(parts, list) and target:
            yield Element(tuple(map(str, parts)), target)


def _step(expressions: list[dict[str, Any]], found: Found) -> Step:
    targets: list[tuple[str, float]] = []
    for_some_sources = recalls = ends = False
    for expression in expressions:
        if "dnat" in expression:
            return _destination(fields.mapping(expression, "dnat"), found)
        if "vmap" in expression:
            targets = list(_drawn(fields.mapping(expression, "vmap")))
        if target := fields.text(expression, "goto", "target"):
            targets = [(target, 1.0)]
        if "match" in expression:
            left = fields.mapping(expression, "match", "left")
            right = fields.mapping(expression, "match").get("right")
            is_source = fields.text(
                left, "payload", "field"
            ) == "saddr" or "saddr" in fields.texts(left, "fib", "flags")
            is_recalled = isinstance(right, str) and right.startswith("@")
            recalls |= is_source and is_recalled
            for_some_sources |= is_source and not is_recalled
        ends |= "drop" in expression or "reject" in expression
    return Step(
        tuple(targets), ends=ends, for_some_sources=for_some_sources, recalls=recalls
    )


def _destination(dnat: dict[str, Any], found: Found) -> Step:
    try:
        address = values.address(str(dnat.get("addr")))
        port = values.port(dnat["port"]) if "port" in dnat else None
    except ClusterError as error:
        found.remark(found.line, f"dnat to {dnat.get('addr')}", str(error))
        return Step()
    return Step(destination=(address, port))


def _drawn(vmap: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Give the chains that a random number leads to, each with its share."""
    if not fields.mapping(vmap, "key", "numgen"):
        return
    pairs = fields.mapping(vmap, "data").get("set")
    drawn = []
    for pair in pairs if isinstance(pairs, list) else []:
        if not (isinstance(pair, list) and len(pair) == 2):
            continue
        number, verdict = pair
        target = fields.text(verdict, "goto", "target")
        if target:
            drawn.append((target, _numbers(number)))
    total = sum(numbers for _, numbers in drawn)
    for target, numbers in drawn:
        yield target, numbers / total


def _numbers(key: object) -> int:
    """Count the numbers of a key, which may be a range."""
    bounds = key.get("range") if isinstance(key, dict) else None
    if isinstance(bounds, list) and len(bounds) == 2:
        first, last = bounds
        if isinstance(first, int) and isinstance(last, int):
            return max(1, last - first + 1)
    return 1
