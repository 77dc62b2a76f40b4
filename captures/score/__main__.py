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
from captures.score import classes, clocks, report
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
    state = parser.add_mutually_exclusive_group()
    state.add_argument(
        "--without-cluster", action="store_true", help="only without cluster state"
    )
    state.add_argument(
        "--with-cluster", action="store_true", help="only with cluster state"
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
    states = [True] * (not options.without_cluster)
    states += [False] * (not options.with_cluster)
    scores: list[report.Score] = []
    for recording in recordings(parser, options.recordings):
        for score in scores_of(recording, wanted, states):
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
    recording: Recording, wanted: list[str], states: list[bool]
) -> Iterator[report.Score]:
    """Score one recording, class by class, with and without cluster state."""
    with tempfile.TemporaryDirectory() as folder:
        for class_name in wanted:
            parts = [*classes.subjects(recording, class_name, Path(folder))]
            for has_cluster in states:
                if not parts or (class_name == classes.CONNTRACK and not has_cluster):
                    continue
                runs = [run(part, recording, has_cluster=has_cluster) for part in parts]
                yield report.Score(
                    recording.name,
                    class_name,
                    "yes" if has_cluster else "no",
                    reduce(add, (verdict for verdict, _ in runs)),
                    tuple(clock for _, found in runs for clock in found),
                )


def run(
    subject: Subject, recording: Recording, *, has_cluster: bool
) -> tuple[Verdict, list[clocks.Estimate]]:
    """Analyse a subject's captures and judge what came of it."""
    folders = [recording.directory / "cluster"] * has_cluster
    folders += [recording.directory / "conntrack"] * subject.has_conntrack
    cluster = analyzer.Cluster.load(folders) if folders else None
    paths = [view.path for view in subject.views]
    tables = analyzer.build_tables(paths, cluster=cluster)
    verdict = judge(
        Made(
            tables.connections.collect(), tables.hops.collect(), tables.flows.collect()
        ),
        subject,
        recording,
        has_cluster=has_cluster,
    )
    return verdict, [*clocks.estimates(tables.clocks.collect(), recording)]


if __name__ == "__main__":
    sys.exit(main())
