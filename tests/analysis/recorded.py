"""Recordings of the cluster, analysed, and what is true of them."""

from __future__ import annotations

import functools
import json
import tempfile
from collections import Counter
from pathlib import Path

import polars as pl
from scapy.data import DLT_EN10MB
from scapy.utils import RawPcapNgReader, RawPcapWriter

import analyzer
from analyzer.analysis import spread
from tests.frames import ROOT

RECORDINGS = ROOT / "captures/cluster"
ALL = (
    "clusterip",
    "nodeport",
    "loadbalancer",
    "mixed",
    "spread-even",
    "spread-skewed",
    "spread-unready",
    "drops",
    "dualstack",
)


@functools.cache
def cluster(recording, *, conntrack=False):
    parts = ["cluster", "conntrack"] if conntrack else ["cluster"]
    return analyzer.Cluster.load([RECORDINGS / recording / part for part in parts])


@functools.cache
def connections(recording, file=None, *, conntrack=False):
    """Correlate one file of a recording, or all."""
    folder = RECORDINGS / recording
    files = [folder / file] if file else sorted(folder.glob("*.pcap*"))
    state = cluster(recording, conntrack=conntrack)
    return analyzer.build_tables(files, cluster=state).connections.collect()


@functools.cache
def nic_connections(recording, file):
    """Correlate what a node's network card alone saw, of a file of several devices."""
    if "+" not in file:
        return connections(recording, file)
    node = file.split(".")[0]
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / f"{node}.ens18.pcap"
        with (
            RawPcapNgReader(str(RECORDINGS / recording / file)) as every,
            RawPcapWriter(str(alone), linktype=DLT_EN10MB, nano=True) as kept,
        ):
            kept.write_header(None)
            for octets, about in every:
                if about.ifname != b"ens18":
                    continue
                time = (about.tshigh << 32) + about.tslow
                kept.write_packet(
                    octets,
                    sec=time // about.tsresol,
                    usec=time % about.tsresol * 10**9 // about.tsresol,
                    wirelen=about.wirelen,
                )
        state = cluster(recording)
        return analyzer.build_tables([alone], cluster=state).connections.collect()


def spread_of(recording, file=None, *, conntrack=False, **asked):
    return spread(
        connections(recording, file, conntrack=conntrack).lazy(),
        cluster=cluster(recording, conntrack=conntrack),
        **asked,
    )


@functools.cache
def truth(recording, file=None):
    """Give the connections of a recording, or those that a file must show."""
    lines = (RECORDINGS / recording / "truth.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    if file is None:
        return records
    name = file.removesuffix(".gz")
    return [
        each
        for each in records
        if any(seen["file"] == name for seen in each["captures"]["seen"])
    ]


def changes(recording):
    """Give what changed while a recording was made."""
    return json.loads((RECORDINGS / recording / "scenario.json").read_text())["changes"]


def backend(record):
    """Name a backend as the analysis does."""
    told = record["backend"]
    if told.get("pod"):
        return told["pod"]
    if "ip" in told and told.get("port"):
        return f"{told['ip']}:{told['port']}"
    return None


def counted(table, subject, unit="connections", kind="Service"):
    """Give what each backend of a subject got, if it got anything."""
    rows = table.filter(
        pl.col("subject_kind") == kind,
        pl.col("subject") == subject,
        pl.col("connections") > 0,
    )
    return dict(zip(rows["group"], rows[unit], strict=True))


def services(recording, file=None):
    return sorted({each["service"] for each in truth(recording, file)} - {None})


def true_counts(records, weight=lambda _: 1):
    counts = Counter()
    for record in records:
        counts[backend(record)] += weight(record)
    return dict(counts)
