"""What a failure looks like from outside: one line, a hint, an exit status."""

from __future__ import annotations

import errno
import os
import re
import sys

import click

from analyzer.cli.format import printable
from analyzer.errors import AnalyzerError

#: As if ended by SIGINT: what shells expect after Ctrl-C.
INTERRUPTED = 130
#: As if ended by SIGPIPE: what shells expect of a filter that ``head`` has cut short.
NO_READER = 141

_HINTS = {
    errno.ENOSPC: "free some space; -o names another place for the tables",
    errno.EDQUOT: "your quota is used up; -o names another place for the tables",
    errno.EROFS: "the file system is read-only; -o names another place for the tables",
    errno.EACCES: "check the permissions; captures made by root are often root's alone",
    errno.EPERM: "check the permissions; captures made by root are often root's alone",
    errno.ENOENT: "check the spelling",
    errno.EMFILE: "raise the limit with: ulimit -n 4096",
}


def tell_failure(error: Exception) -> None:
    """Print an error and what to do about it on standard error."""
    if isinstance(error, AnalyzerError):
        message, hint = str(error), error.hint
    elif isinstance(error, MemoryError):
        message, hint = "out of memory", "read fewer captures at a time"
    elif isinstance(error, OSError):
        message, hint = _in_words(error)
    else:
        message = f"a defect of analyze itself: {type(error).__name__}: {error}"
        hint = "run the command again with --debug and report what it prints"
    _tell("error", "red", message, hint)


def warn(message: str, hint: str | None = None) -> None:
    """Print something that the results depend on, on standard error."""
    _tell("warning", "yellow", message, hint)


def _tell(kind: str, colour: str, message: str, hint: str | None) -> None:
    line = printable(" ".join(message.split()))  # one, whatever a library put into it
    label = click.style(f"{kind}:", fg=colour, bold=True)
    click.echo(f"analyze: {label} {line}", err=True)
    if hint:
        click.echo(f"  hint: {printable(hint)}", err=True)


def _in_words(error: OSError) -> tuple[str, str | None]:
    """Say what the system refused, and of which file."""
    # polars raises OSError without errno, but its text ends in "(os error 28)".
    in_text = re.search(r"\(os error (\d+)\)", str(error))
    number = error.errno or (int(in_text[1]) if in_text else 0)
    reason = os.strerror(number) if number else str(error)
    reason = reason[:1].lower() + reason[1:]
    where = os.fsdecode(error.filename) if error.filename is not None else None
    return (f"{where}: {reason}" if where else reason), _HINTS.get(number)


def flush_stdout() -> None:
    """Write what is buffered while a failure can still be told."""
    if sys.stdout is not None:  # as it is after `>&-`
        sys.stdout.flush()


def abandon_stdout() -> None:
    """Drop what standard output does not take any more.

    The interpreter flushes it once more at its end and would complain about the same
    failure a second time.
    """
    try:
        flush_stdout()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
