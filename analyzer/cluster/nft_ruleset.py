"""kube-proxy's rules as ``nft list ruleset`` writes them, as text.

    map service-ips {
        elements = { 10.152.183.10 . udp . 53 : goto service-FY5PMXPG-kube-system/..., }
    }
    chain service-FY5PMXPG-kube-system/kube-dns/udp/dns {
        numgen random mod 2 vmap { 0 : goto endpoint-..., 1 : goto endpoint-... }
    }

Only the tables ``ip kube-proxy`` and ``ip6 kube-proxy`` matter; what iptables made of
its own rules (``table ip nat``) does not show its probabilities.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyzer.cluster import values
from analyzer.cluster.found import Found
from analyzer.cluster.nft_rules import IP_VERSIONS, Element, NftTable
from analyzer.cluster.proxy_chains import Step
from analyzer.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.cluster.split import TextPart

_HANDLE = re.compile(r" # handle \d+$")  # nft -a
_TABLE = re.compile(r"\s*table (?P<family>\w+) (?P<name>\S+) \{")
_OBJECT = re.compile(r"\s*(?P<what>map|set|chain) (?P<name>\S+) \{")
_COMMENT = re.compile(r' ?comment "([^"]*)"')
_ELEMENTS = re.compile(r"elements = \{([^}]*)\}")
_DRAW = re.compile(r"numgen \w+ mod \d+(?: offset \d+)? vmap \{([^}]*)\}")
_DRAWN = re.compile(r"(\d+)(?:-(\d+))? : (?:goto|jump) (\S+)")
_DNAT = re.compile(r"\bdnat (?:ip6? )?to (\S+)")
_JUMP = re.compile(r"\b(?:goto|jump) (\S+)$")
_SOURCE = re.compile(r"\bip6? saddr (?!@)|\bfib saddr ")
_RECALLED = re.compile(r"\bip6? saddr @")
_REFUSAL = re.compile(r"\b(?:drop|reject)\b")


def read(part: TextPart, path: str) -> Found:
    """Read a ruleset, also with its indentation lost.

    Parameters
    ----------
    part : TextPart
        A part of the kind ``nft ruleset``.
    path : str
        The file, for the report.

    Returns
    -------
    Found
        With a ruleset for each of kube-proxy's tables.
    """
    found = Found(path, part.line, "nft ruleset (text)", host=part.host)
    for table in _tables(part, found):
        table.add_to(found)
    found.used = bool(found.rulesets)
    return found


def _tables(part: TextPart, found: Found) -> Iterator[NftTable]:
    table: NftTable | None = None
    what = name = ""
    body: list[tuple[int, str]] = []
    for number, line in enumerate(part.lines, part.line):
        stripped = _HANDLE.sub("", line).strip()
        if head := _TABLE.match(line):
            if table:
                yield table
            version = IP_VERSIONS.get(head["family"])
            table = None
            if version and head["name"] == "kube-proxy":
                table = NftTable(number, version)
            what = ""
        elif table is None:
            continue
        elif head := _OBJECT.match(line):
            what, name, body = head["what"], head["name"], []
        elif stripped == "}":
            if what:
                _add(table, what, name, body, found)
            what = ""
        elif what:
            body.append((number, stripped))
    if table:
        yield table


def _add(
    table: NftTable, what: str, name: str, body: list[tuple[int, str]], found: Found
) -> None:
    if what == "chain":
        table.chains[name] = [
            _step(number, _COMMENT.sub("", rule), found) for number, rule in body
        ]
        return
    elements = _ELEMENTS.search(" ".join(line for _, line in body))
    texts = elements[1].split(",") if elements else []
    if what == "set":
        table.sets[name] = [text.strip() for text in texts]
    else:
        table.maps[name] = list(_elements(texts))


def _elements(texts: Iterable[str]) -> Iterator[Element]:
    for text in texts:
        comment = _COMMENT.search(text)
        key, _, verdict = _COMMENT.sub("", text).partition(" : ")
        keys = tuple(item.strip() for item in key.split(" . "))
        target = verdict.strip().removeprefix("goto ").strip()
        yield Element(keys, target, comment[1] if comment else "")


def _step(number: int, rule: str, found: Found) -> Step:
    if dnat := _DNAT.search(rule):
        try:
            return Step(destination=values.socket(dnat[1]))
        except ClusterError as error:
            found.remark(number, rule, str(error))
            return Step()
    if draw := _DRAW.search(rule):
        drawn = [
            (target, int(last or first) - int(first) + 1)
            for first, last, target in _DRAWN.findall(draw[1].replace(",", " "))
        ]
        total = sum(numbers for _, numbers in drawn)
        return Step(tuple((target, numbers / total) for target, numbers in drawn))
    jump = _JUMP.search(rule)
    if jump is None:
        return Step(ends=_REFUSAL.search(rule) is not None)
    return Step(
        targets=((jump[1], 1.0),) if " jump " not in f" {rule}" else (),
        for_some_sources=_SOURCE.search(rule) is not None,
        recalls=_RECALLED.search(rule) is not None,
    )
