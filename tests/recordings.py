"""The recorded clusters as tables, built once; and the truth about them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import analyzer

RECORDED = Path(__file__).parents[1] / "captures" / "cluster"
SCENARIOS = ("clusterip", "nodeport", "loadbalancer", "mixed", "dualstack")


@cache
def cluster(scenario: str) -> analyzer.Cluster:
    return analyzer.Cluster.load([RECORDED / scenario / "cluster"])


@cache
def tables(scenario: str, *, named: bool = True) -> analyzer.Tables:
    return analyzer.build_tables(
        sorted((RECORDED / scenario).glob("*.pcap*.gz")),
        cluster=cluster(scenario) if named else None,
        packets=True,
    )


def truth(scenario: str) -> list[dict]:
    lines = (RECORDED / scenario / "truth.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
