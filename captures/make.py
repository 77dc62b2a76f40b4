"""Run every maker: ``python -m captures.make`` writes, ``--check`` compares.

A maker is ``captures/<topic>/<name>.py``. Its docstring says what the capture shows;
its ``build()`` gives the octets of ``<name>.pcap``, or of ``<name>.pcapng`` if they
begin with a section header.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOPICS = ("formats", "ip", "tcp", "tunnels", "damaged")
_PCAPNG = b"\x0a\x0d\x0d\x0a"


def makers() -> list[Path]:
    """Find every maker, by topic and name."""
    return [path for topic in TOPICS for path in sorted((HERE / topic).glob("*.py"))]


def made_by(maker: Path) -> tuple[Path, bytes]:
    """Run a maker: the file it is responsible for, and that file's octets."""
    module = importlib.import_module(f"captures.{maker.parent.name}.{maker.stem}")
    octets = module.build()
    suffix = ".pcapng" if octets.startswith(_PCAPNG) else ".pcap"
    return maker.with_suffix(suffix), octets


def main() -> int:
    """Write or compare all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    differing = 0
    for maker in makers():
        path, octets = made_by(maker)
        if path.exists() and path.read_bytes() == octets:
            continue
        differing += 1
        print(f"{path.relative_to(HERE)}: {'differs' if check else 'written'}")
        if not check:
            path.write_bytes(octets)
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
