"""``python -m analyzer`` is the command ``analyze``."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from analyzer.cli import main


def run() -> None:
    """Run the command, then end the process at once.

    The interpreter would take its modules apart one by one, for nothing: as long as the
    import of pyarrow takes. A profiler or a debugger still gets its turn.
    """
    try:
        main(prog_name="analyze")
    except SystemExit as end:
        if isinstance(end.code, int) and not (sys.getprofile() or sys.gettrace()):
            # What cannot be written is told as it always is.
            with suppress(OSError, ValueError, AttributeError):
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(end.code)
        raise


if __name__ == "__main__":
    run()
