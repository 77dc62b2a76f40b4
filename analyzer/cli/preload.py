"""Import what a command will need while it reads a capture."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from threading import Thread

from analyzer.threads import leave_signals


def import_meanwhile(*modules: str) -> None:
    """Import modules in another thread; the compiled decoder leaves it the interpreter.

    Parameters
    ----------
    *modules : str
        In order. Whoever needs one before it is there waits for it as usual.
    """

    def import_all() -> None:
        leave_signals()
        # Where it is needed, the same import fails again, and is told there.
        with suppress(Exception):
            for module in modules:
                import_module(module)

    Thread(target=import_all, name="imports").start()
