"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from analyzer.cli.captures import find_captures
from analyzer.cli.failure import warn

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from analyzer.cluster import Cluster

#: Observation points by the path of their capture.
Points = dict["str | os.PathLike[str]", str]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float:
    """Read a duration, as seconds: ``30``, ``30s``, ``500ms``, ``5m``, ``1.5h``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d)?", text.strip())
    seconds = float(match[1]) * _SECONDS[match[2] or "s"] if match else 0.0
    if not seconds:
        raise click.BadParameter(f"{text!r} is not a duration like 30, 30s, 5m or 1h")
    return seconds


def _point(text: str) -> tuple[str, Path]:
    """Split ``NODE/IFACE=FILE`` at its first equals sign: files may have more."""
    point, equals, file = text.partition("=")
    if not (point and equals and file):
        raise click.BadParameter(f"{text!r} is not of the form NODE/IFACE=FILE")
    return point, Path(file)


def _find(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> Any:
    return find_captures(value)


captures_argument = click.argument(
    "captures",
    metavar="CAPTURE...",
    nargs=-1,
    required=True,
    type=click.Path(allow_dash=True),
    callback=_find,
)


point_option = click.option(
    "--point",
    "named_points",
    metavar="NODE/IFACE=FILE",
    type=_point,
    multiple=True,
    help="Say where a capture was taken, if its name does not. Repeatable.",
)
vxlan_port_option = click.option(
    "--vxlan-port",
    "vxlan_ports",
    metavar="N",
    type=click.IntRange(1, 65535),
    multiple=True,
    help="Decode VXLAN on this UDP port, too (4789 always). Repeatable.",
)


def file_option(name: str, text: str) -> Callable[[_Command], _Command]:
    """Add ``-o FILE``, passed on as `name`; `text` says what is written there."""
    return click.option(
        "-o",
        "--output",
        name,
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help=text,
    )


def capture_options(command: _Command) -> _Command:
    """Add CAPTURE... and how to read them.

    The command takes ``captures`` (paths), ``points`` (path -> observation point) and
    ``vxlan_ports``.
    """

    @captures_argument
    @point_option
    @vxlan_port_option
    @functools.wraps(command)
    def with_captures(
        *args: Any,
        captures: tuple[Path, ...],
        named_points: tuple[tuple[str, Path], ...],
        **kwargs: Any,
    ) -> Any:
        points = points_of(captures, named_points)
        return command(*args, captures=captures, points=points, **kwargs)

    return cast("_Command", with_captures)


def points_of(
    captures: tuple[Path, ...], named_points: Iterable[tuple[str, Path]]
) -> Points:
    """Give each capture the observation point that was named for it.

    A capture that was rotated is named by any of its files, or by what their names
    have in common.
    """
    from analyzer.capture.series import series_path

    known = {*captures, *(Path(series_path(capture)) for capture in captures)}
    known |= {Path(capture.name) for capture in known}
    points: Points = {}
    for point, file in named_points:
        if file not in known:
            raise click.BadParameter(
                f"{file} is not one of the captures", param_hint="'--point'"
            )
        points[file] = point
    return points


def _load(
    _: click.Context, __: click.Parameter, value: tuple[Path, ...]
) -> Cluster | None:
    if not value:
        return None
    from analyzer.cluster import Cluster

    cluster = Cluster.load(value)
    used = {Path(each.path).resolve() for each in cluster.sources if each.used}
    places = used.union(*(file.parents for file in used))
    for path in value:
        if path.resolve() not in places:
            warn(
                f"{path}: no cluster state in it",
                f"analyze cluster show {shlex.quote(str(path))} says what was read",
            )
    return cluster


cluster_option = click.option(
    "--cluster",
    metavar="PATH",
    type=click.Path(path_type=Path),
    multiple=True,
    callback=_load,
    help="Take names from this cluster state: a file or directory with the output of"
    " kubectl, ip addr, iptables-save, nft, ipvsadm, conntrack. Repeatable.",
)
