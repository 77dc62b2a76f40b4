"""The group of commands: loaded when called, and failing in one line."""

from __future__ import annotations

import importlib
from typing import Any

import click

from analyzer.cli.failure import (
    INTERRUPTED,
    NO_READER,
    abandon_stdout,
    flush_stdout,
    tell_failure,
)

_DEBUG = "analyzer.debug"


def _remember_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.meta[_DEBUG] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_remember_debug,
    help="Show the traceback of an error.",
)


class CommandGroup(click.Group):
    """A group whose commands are imported when they are called.

    Parameters
    ----------
    commands_by_name : dict
        Name of each command -> its module, which holds the command under its own
        name, and the line that says what it does. The line stands here as well as in
        the command's help so that ``analyze --help`` imports no command.
    """

    def __init__(
        self,
        *args: Any,
        commands_by_name: dict[str, tuple[str, str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.commands_by_name = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name the commands, in the order in which one would use them."""
        return list(self.commands_by_name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, or take it if it has been imported."""
        if cmd_name in self.commands_by_name and cmd_name not in self.commands:
            module = importlib.import_module(self.commands_by_name[cmd_name][0])
            command: click.Command = getattr(module, cmd_name)
            _accept_debug(command)
            self.commands[cmd_name] = command
        return super().get_command(ctx, cmd_name)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, line) for name, (_, line) in self.commands_by_name.items()]
            )

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn its failure into one line, a hint and exit status 1."""
        try:
            result = super().invoke(ctx)
            flush_stdout()
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except KeyboardInterrupt:
            abandon_stdout()
            click.echo("\nanalyze: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            abandon_stdout()
            ctx.exit(NO_READER)
        except Exception as error:
            if ctx.meta.get(_DEBUG):
                raise
            abandon_stdout()
            tell_failure(error)
            ctx.exit(1)
        return result


def _accept_debug(command: click.Command) -> None:
    """Let ``--debug`` stand after the command, too, and after its subcommands."""
    debug_option(command)
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            _accept_debug(subcommand)
