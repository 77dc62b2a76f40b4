"""Score the analyzer's connections on recorded clusters.

Examples
--------
::

    python -m captures.score                       # all of captures/cluster
    python -m captures.score mixed --classes all,nics --verbose
    python -m captures.score path/of/a/recording
    python -m captures.score --update              # write captures/cluster/SCORE.md
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

import analyzer
from captures.score import classes, clocks, report, states
from captures.score.judge import Made, judge
from captures.score.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from captures.score.classes import Subject
    from captures.score.verdict import Verdict

SAMPLES = Path(__file__).resolve().parents[1] / "cluster"
PAGE = SAMPLES / "SCORE.md"


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m captures.score", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "recordings",
        nargs="*",
        metavar="RECORDING",
        help="a directory, or a name in captures/cluster (default: all of those)",
    )
    parser.add_argument(
        "--classes",
        default=",".join(classes.CLASSES),
        metavar="CLASS,...",
        help="which sets of captures (default: %(default)s)",
    )
    parser.add_argument(
        "--states",
        default=",".join(states.STATES),
        metavar="STATE,...",
        help="how much cluster state (default: %(default)s)",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="say what is behind the figures"
    )
    parser.add_argument(
        "--update", action="store_true", help=f"write the table into {PAGE.name}"
    )
    options = parser.parse_args()
    wanted = options.classes.split(",")
    for name in wanted:
        if name not in classes.CLASSES:
            parser.error(f"no such class: {name} (there are: {classes.CLASSES})")
    names = options.states.split(",")
    for name in names:
        if name not in states.STATES:
            parser.error(f"no such state: {name} (there are: {states.STATES})")
    scores: list[report.Score] = []
    for recording in recordings(parser, options.recordings):
        for score in scores_of(recording, wanted, names):
            scores.append(score)
            if options.verbose:
                for finding in score.verdict.findings:
                    print(report.finding_line(score, finding))
    print(*report.terminal_table(scores), sep="\n")
    for score in scores:
        for line in report.clock_lines(score, every=options.verbose):
            print(line)
    if options.update:
        report.update(PAGE, scores)
    return 0 if all(score.is_good for score in scores) else 1


def recordings(
    parser: argparse.ArgumentParser, names: list[str]
) -> Iterator[Recording]:
    """Find the recordings that are meant."""
    if not names:
        names = [str(path.parent) for path in sorted(SAMPLES.glob("*/truth.jsonl"))]
    for name in names:
        found = [path for path in (SAMPLES / name, Path(name)) if path.is_dir()]
        if not found:
            parser.error(f"{name}: no such recording")
        yield Recording(found[0].resolve())


def scores_of(
    recording: Recording, wanted: list[str], names: list[str]
) -> Iterator[report.Score]:
    """Score one recording: class by class, and with partial state all of them."""
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            name: [*classes.subjects(recording, name, Path(folder))] for name in wanted
        }
        parts = {name: found for name, found in parts.items() if found}
        for name, found in parts.items():
            for state in (states.WHOLE, states.NONE):
                if state not in names or (
                    name == classes.CONNTRACK and state == states.NONE
                ):
                    continue
                yield _score(recording, name, state, found, Path(folder))
        every = [
            part
            for name, found in parts.items()
            if name != classes.CONNTRACK
            for part in found
        ]
        for state in names:
            if every and state not in (states.WHOLE, states.NONE):
                yield _score(recording, "each", state, every, Path(folder))


def _score(
    recording: Recording, name: str, state: str, parts: list[Subject], folder: Path
) -> report.Score:
    runs = [run(part, recording, state, folder) for part in parts]
    return report.Score(
        recording.name,
        name,
        state,
        reduce(add, (verdict for verdict, _ in runs)),
        tuple(clock for _, found in runs for clock in found),
    )


def run(
    subject: Subject, recording: Recording, state: str, folder: Path
) -> tuple[Verdict, list[clocks.Estimate]]:
    """Analyse a subject's captures and judge what came of it."""
    paths = [view.path for view in subject.views]
    files = states.files(state, recording, paths, folder)
    files += [recording.directory / "conntrack"] * subject.has_conntrack
    cluster = analyzer.Cluster.load(files) if files else None
    tables = analyzer.build_tables(paths, cluster=cluster)
    connections = tables.connections.collect()
    if cluster is not None and state == states.INFERRED:
        connections = states.with_true_names(connections, cluster, recording)
    verdict = judge(
        Made(connections, tables.hops.collect(), tables.flows.collect()),
        subject,
        recording,
        has_cluster=state != states.NONE,
        is_whole=state == states.WHOLE,
    )
    return verdict, [*clocks.estimates(tables.clocks.collect(), recording)]


if __name__ == "__main__":
    sys.exit(main())
