import io
import sys

import pytest

from analyzer.cli import progress
from analyzer.cli.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_a_terminal(monkeypatch, patience):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", patience)
    return terminal


def test_without_a_terminal_there_is_nothing_to_call():
    with progress_bar("reading") as update:
        assert update is None


def test_short_work_shows_nothing(monkeypatch):
    terminal = on_a_terminal(monkeypatch, patience=60.0)
    with progress_bar("reading") as update:
        update(1, 2)
        update(2, 2)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("total", [2_000_000, None])
def test_long_work_shows_a_bar_and_takes_it_away(monkeypatch, total):
    terminal = on_a_terminal(monkeypatch, patience=0.0)
    with progress_bar("reading") as update:
        update(500_000, total)
        update(1_000_000, total)
    shown = terminal.getvalue()
    assert "reading" in shown
    assert "1.0" in shown
    assert shown.endswith("\x1b[2K")  # the line is erased


def test_an_interrupted_bar_is_taken_away(monkeypatch):
    terminal = on_a_terminal(monkeypatch, patience=0.0)

    def work():
        with progress_bar("reading") as update:
            update(1, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back
