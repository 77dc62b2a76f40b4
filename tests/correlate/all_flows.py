"""Flows of all sorts for compiled passes to go wrong on."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import polars as pl

import analyzer
from tests.frames import CAPTURES, sample_captures

if TYPE_CHECKING:
    from random import Random


@cache
def all_flows() -> pl.DataFrame:
    """Give the flows of all small captures, and of a recorded cluster."""
    recorded = sorted((CAPTURES / "cluster" / "dualstack").glob("*.pcap*"))
    paths = sample_captures() + recorded
    return pl.concat([analyzer.build_tables(path).flows.collect() for path in paths])


def misfits(draw: Random) -> pl.DataFrame:
    """Give flows whose columns do not fit together."""
    flows = all_flows()
    kept = {"flow_id", "protocol", "copies", "originator_packets", "responder_packets"}
    kept.update(draw.sample(flows.columns, draw.randrange(flows.width)))
    seeds = {name: draw.getrandbits(32) for name in flows.columns}
    # A tunnel has two ends.
    seeds["outer_responder_ip"] = seeds["outer_originator_ip"]
    return flows.with_columns(
        pl.col(name).shuffle(seed=seed).over("protocol")
        for name, seed in seeds.items()
        if name not in kept - {"outer_originator_ip", "outer_responder_ip"}
    )
