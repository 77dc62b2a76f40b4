"""Import what a command will need while it reads a capture."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from threading import Thread
from typing import Any

from analyzer.threads import leave_signals


def import_pyarrow() -> None:
    """Import pyarrow without numpy, for a command that needs none of what it is for.

    numpy takes a sixth of the time in which a small capture is read. pyarrow does
    without where numpy is not installed, and then makes no arrays of numpy's.
    """
    modules: dict[str, Any] = sys.modules
    if "pyarrow" in modules or "numpy" in modules:
        return
    modules["numpy"] = None
    try:
        import pyarrow.compute  # noqa: F401  for those who import it after this
    finally:
        del modules["numpy"]


def import_meanwhile(*modules: str) -> None:
    """Import modules in another thread; the compiled decoder leaves it the interpreter.

    Parameters
    ----------
    *modules : str
        In order, after pyarrow. Whoever needs one before it is there waits for it as
        usual.
    """

    def import_all() -> None:
        leave_signals()
        # Where it is needed, the same import fails again, and is told there.
        with suppress(Exception):
            import_pyarrow()
            for module in modules:
                import_module(module)

    Thread(target=import_all, name="imports").start()
