"""Take INPUT: captures, or the tables that were made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from analyzer.cli.captures import find_captures
from analyzer.cli.options import (
    cluster_option,
    point_option,
    points_of,
    vxlan_port_option,
)
from analyzer.errors import TablesError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.cli.options import Points
    from analyzer.cluster import Cluster
    from analyzer.tables import Tables

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Inputs:
    """What a question is asked of.

    Parameters
    ----------
    paths : tuple of Path
        Captures, or one tables directory.
    is_tables : bool
        Whether it is a tables directory.
    points, vxlan_ports
        How to read captures.
    cluster : Cluster, optional
        Names what is in captures; names a tables directory's connections anew.
    """

    paths: tuple[Path, ...]
    is_tables: bool
    points: Points
    vxlan_ports: tuple[int, ...]
    cluster: Cluster | None

    def tables(self) -> Tables:
        """Open the tables, or make them of the captures, in memory.

        Raises
        ------
        CaptureError, TablesError
            If a file cannot be read. Damage is a warning on standard error.
        """
        from analyzer.cli.trouble import as_of_captures

        tables = self._open() if self.is_tables else self._read()
        as_of_captures(self.cluster, tables.captures)  # for its warning
        return tables

    def _read(self) -> Tables:
        from analyzer.cli.progress import progress_bar
        from analyzer.cli.trouble import warn_of_trouble
        from analyzer.pipeline import build_tables

        with progress_bar("reading") as progress:
            tables = build_tables(
                self.paths,
                cluster=self.cluster,
                points=self.points,
                vxlan_ports=self.vxlan_ports,
                progress=progress,
            )
        warn_of_trouble(tables.captures)
        return tables

    def beside(self, arguments: Sequence[str]) -> Inputs:
        """Take another input, to be read in the same way."""
        are_tables = any(_is_tables(Path(argument)) for argument in arguments)
        return find_inputs(
            arguments,
            cluster=self.cluster,
            vxlan_ports=() if are_tables else self.vxlan_ports,
        )

    def _open(self) -> Tables:
        from analyzer.tables import open_tables

        tables = open_tables(self.paths[0])
        if self.cluster is None:
            return tables
        from analyzer.pipeline import correlate_again

        return correlate_again(tables, self.cluster)


def find_inputs(
    arguments: Sequence[str],
    *,
    cluster: Cluster | None = None,
    named_points: Sequence[tuple[str, Path]] = (),
    vxlan_ports: tuple[int, ...] = (),
) -> Inputs:
    """Tell captures from a tables directory.

    Parameters
    ----------
    arguments : sequence of str
        Files, ``-``, directories and globs of captures; or one tables directory.

    Raises
    ------
    CaptureError
        If there is no such file.
    TablesError
        If there is something beside a tables directory, or a file out of one, or if a
        flows table is damaged.
    """
    of_tables = [argument for argument in arguments if _is_tables(Path(argument))]
    if not of_tables:
        for argument in arguments:
            _refuse_damage(Path(argument))
        captures = find_captures(arguments)
        for capture in captures:
            _refuse_table(capture)
        points = points_of(captures, named_points)
        return Inputs(captures, False, points, vxlan_ports, cluster)
    if len(set(arguments)) > 1:
        raise TablesError(
            f"{of_tables[0]}: a tables directory, but it is not the only input",
            hint="give one tables directory, or the captures of all",
        )
    for option, values in (("--point", named_points), ("--vxlan-port", vxlan_ports)):
        if values:
            raise click.BadParameter(
                f"{of_tables[0]} is a tables directory; its captures were read before",
                param_hint=f"'{option}'",
            )
    return Inputs((Path(of_tables[0]),), True, {}, (), cluster)


def _is_tables(path: Path) -> bool:
    if not path.is_dir():
        return False
    from analyzer.tables.directory import is_tables_directory

    return is_tables_directory(path)


def _refuse_damage(path: Path) -> None:
    """Say what is wrong with a directory that would have tables."""
    if path.is_dir():
        from analyzer.tables.directory import read_schema, table_path

        if flows := table_path(path, "flows"):
            read_schema(flows)


def _refuse_table(path: Path) -> None:
    if path.suffix in (".arrow", ".parquet") and _is_tables(path.parent):
        raise TablesError(
            f"{path}: one table, not a capture",
            hint=f"name its directory: {path.parent}",
        )


def input_options(command: _Command) -> _Command:
    """Add INPUT..., ``--cluster`` and how to read captures.

    The command takes ``inputs`` (:class:`Inputs`).
    """

    @click.argument(
        "arguments",
        metavar="INPUT...",
        nargs=-1,
        required=True,
        type=click.Path(allow_dash=True),
    )
    @cluster_option
    @point_option
    @vxlan_port_option
    @functools.wraps(command)
    def with_inputs(
        *args: Any,
        arguments: tuple[str, ...],
        cluster: Cluster | None,
        named_points: tuple[tuple[str, Path], ...],
        vxlan_ports: tuple[int, ...],
        **kwargs: Any,
    ) -> Any:
        inputs = find_inputs(
            arguments,
            cluster=cluster,
            named_points=named_points,
            vxlan_ports=vxlan_ports,
        )
        return command(*args, inputs=inputs, **kwargs)

    return cast("_Command", with_inputs)
