"""Write a capture to standard output again and again, as one that does not end.

::

    python -m benchmarks.endless CAPTURE.pcap --passes 100 | analyze flows -

There is one file header. Every pass has the octets of the capture with later times: it
begins ``--gap`` seconds after the last one has ended, so that what was open then times
out and five-tuples are used again by new flows: N passes hold N times the flows.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

FILE_HEADER = 24
RECORD_HEADER = 16
LITTLE_ENDIAN = (0xA1B2C3D4, 0xA1B23C4D)
GAP = 600  # seconds: more than idle timeouts
PIPE = 1 << 20


class Endless:
    """A pcap capture whose times can be moved.

    Parameters
    ----------
    octets : bytearray
        A little-endian pcap capture, which is changed.

    Raises
    ------
    ValueError
        It is none, or has no whole record.
    """

    def __init__(self, octets: bytearray) -> None:
        magic = int.from_bytes(octets[:4], "little")
        if magic not in LITTLE_ENDIAN:
            raise ValueError("not a little-endian pcap file")
        offsets, self.end = _records(octets)
        if not len(offsets):
            raise ValueError("no packets")
        self.octets = np.frombuffer(octets, np.uint8)
        # The octets of each record's seconds.
        self._places = offsets[:, None] + np.arange(4)
        self._seconds = self.octets[self._places].view("<u4").ravel()
        self.span = int(self._seconds.max() - self._seconds.min()) + 1

    @property
    def header(self) -> memoryview:
        """The file header."""
        return self.octets[:FILE_HEADER].data

    def later(self, seconds: int) -> memoryview:
        """Give all records, so many seconds later than they are in the capture."""
        moved = (self._seconds + np.uint32(seconds)).astype("<u4")
        self.octets[self._places] = moved.view(np.uint8).reshape(-1, 4)
        return self.octets[FILE_HEADER : self.end].data


def _records(octets: bytearray) -> tuple[Array, int]:
    """Find where records begin, and where the last whole one ends."""
    lengths = memoryview(octets)
    offsets = []
    at, end = FILE_HEADER, len(octets)
    while at + RECORD_HEADER <= end:
        after = at + RECORD_HEADER
        after += int.from_bytes(lengths[at + 8 : at + 12], "little")
        if after > end:
            break
        offsets.append(at)
        at = after
    return np.array(offsets, np.int64), at


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.endless",
        description="Write a pcap capture again and again, with advancing times.",
    )
    parser.add_argument("capture", type=Path)
    parser.add_argument("--passes", type=int, help="default: until nobody reads")
    parser.add_argument(
        "--gap", type=int, default=GAP, help="seconds between passes (default: 600)"
    )
    asked = parser.parse_args()
    try:
        endless = Endless(bytearray(asked.capture.read_bytes()))
    except (OSError, ValueError) as error:
        parser.error(f"{asked.capture}: {error}")
    out = sys.stdout.fileno()
    with suppress(OSError):  # it may be a file
        fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, PIPE)
    try:
        _write(out, endless.header)
        number = 0
        while asked.passes is None or number < asked.passes:
            _write(out, endless.later(number * (endless.span + asked.gap)))
            number += 1
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), out)
    return 0


def _write(descriptor: int, octets: memoryview) -> None:
    while octets:
        octets = octets[os.write(descriptor, octets[:PIPE]) :]


if __name__ == "__main__":
    sys.exit(main())
