"""Captures that were compressed, told by their first octets and read as plain ones."""

from __future__ import annotations

import io
import lzma
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol, cast

from analyzer.errors import CaptureError
from analyzer.threads import leave_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

#: First octets of each format: RFC 1952, RFC 8878, LZ4 frame format, XZ file format.
MAGICS = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x04\x22\x4d\x18",
    "xz": b"\xfd7zXZ\x00",
}
# Compressed octets to read at a time: they may become a thousand times as many.
_PACKED_PIECE = 64 * 1024

# Decompressed octets to be ahead by.
_PIECE = 256 * 1024
_PIECES_AHEAD = 6

LONGEST_MAGIC = max(map(len, MAGICS.values()))


class OctetSource(Protocol):
    """What captures are read from."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read into a buffer; the number of octets, 0 at the end."""

    def close(self) -> None:
        """Let go of the file."""


class PeekedSource:
    """A source whose first octets were looked at already.

    Parameters
    ----------
    first : bytes
        What was read.
    source : OctetSource
        Gives all that follows.
    """

    def __init__(self, first: bytes, source: OctetSource) -> None:
        self._first = memoryview(first)
        self._source = source

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read the octets that were looked at, then those of the source."""
        if not self._first:
            return self._source.readinto(buffer)
        count = min(len(buffer), len(self._first))
        buffer[:count] = self._first[:count]
        self._first = self._first[count:]
        return count

    def read(self, size: int = -1) -> bytes:
        """Read as a file does, for the decompressors."""
        buffer = bytearray(size if size > 0 else io.DEFAULT_BUFFER_SIZE)
        count = self.readinto(memoryview(buffer)) or 0
        return bytes(buffer[:count])

    def readable(self) -> bool:
        """Answer that it is a source."""
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


class DamagedStreamError(CaptureError):
    """A compressed capture that breaks off or does not keep to its format."""


class DecompressingSource:
    """A decompressor whose failures are ours.

    Parameters
    ----------
    source : OctetSource
        The library's reader.
    errors : tuple of exception types
        What the library raises where its input is damaged.
    compressed : OctetSource
        What it reads from.
    """

    def __init__(
        self,
        source: OctetSource,
        errors: tuple[type[Exception], ...],
        compressed: OctetSource,
    ) -> None:
        self._source = source
        self._errors = errors
        self._compressed = compressed

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read decompressed octets."""
        try:
            return self._source.readinto(buffer)
        except self._errors as error:
            raise DamagedStreamError(str(error)) from error

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()
        self._compressed.close()


class SourceAhead:
    """A source that is read in a thread of its own, a few pieces ahead.

    Parameters
    ----------
    source : OctetSource
        Must not keep its reader waiting: `close` waits for it.
    """

    def __init__(self, source: OctetSource) -> None:
        self._source = source
        self._spare: SimpleQueue[bytearray | None] = SimpleQueue()
        self._filled: SimpleQueue[tuple[bytearray, int] | Exception] = SimpleQueue()
        self._piece, self._start, self._end = bytearray(), 0, 0
        self._has_ended = False
        for _ in range(_PIECES_AHEAD):
            self._spare.put(bytearray(_PIECE))
        self._thread = Thread(target=self._read_ahead, name="decompressor", daemon=True)
        self._thread.start()

    def readinto(self, buffer: memoryview, /) -> int:
        """Copy what has been read, at most up to the end of a piece."""
        if self._start == self._end and not self._has_ended:
            if self._piece:
                self._spare.put(self._piece)
            filled = self._filled.get()
            if isinstance(filled, Exception):
                self._piece, self._has_ended = bytearray(), True
                raise filled
            self._piece, self._end = filled
            self._start = 0
            self._has_ended = self._end == 0
        count = min(len(buffer), self._end - self._start)
        buffer[:count] = memoryview(self._piece)[self._start : self._start + count]
        self._start += count
        return count

    def close(self) -> None:
        """Stop reading, and let go of the file."""
        self._has_ended = True
        self._spare.put(None)
        self._thread.join()
        self._source.close()

    def _read_ahead(self) -> None:
        leave_signals()
        while (piece := self._spare.get()) is not None and not self._has_ended:
            try:
                count = self._source.readinto(memoryview(piece)) or 0
            except Exception as error:  # noqa: BLE001  raised where it is read
                self._filled.put(error)
                return
            self._filled.put((piece, count))
            if count == 0:
                return


class _Members:
    """Members or frames, one after the other; all that comes before a damage is given.

    The libraries' file objects hold back what they have when their input ends, and that
    of LZ4 reads 8 KiB at a time.
    """

    def __init__(self, source: PeekedSource, new: Callable[[], Any]) -> None:
        self._source = source
        self._new = new
        self._member = new()
        self._is_inside = False
        self._octets = memoryview(b"")

    def readinto(self, buffer: memoryview, /) -> int:
        while not self._octets:
            packed = b""
            if self._member.eof:
                packed = self._member.unused_data or b""
                packed = packed.lstrip(b"\0")  # gzip may be padded
                self._member, self._is_inside = self._new(), False
            packed = packed or self._source.read(_PACKED_PIECE)
            if not packed:
                if self._is_inside:
                    raise EOFError("it ends before its end-of-stream marker")
                return 0
            self._is_inside = True
            self._octets = memoryview(self._member.decompress(packed))
        count = min(len(buffer), len(self._octets))
        buffer[:count] = self._octets[:count]
        self._octets = self._octets[count:]
        return count

    def close(self) -> None:
        self._octets = memoryview(b"")


def compression_of(first: bytes) -> str | None:
    """Tell a compression format by a file's first octets, None if there is none."""
    for name, magic in MAGICS.items():
        if first.startswith(magic):
            return name
    return None


def decompressed(source: PeekedSource, compression: str) -> OctetSource:
    """Read a compressed source as a plain one."""
    reader, errors = _OPENERS[compression](source)
    return DecompressingSource(reader, (EOFError, OSError, *errors), source)


_Errors = tuple[type[Exception], ...]
_Opened = tuple[OctetSource, _Errors]


def _gzip(source: PeekedSource) -> _Opened:
    from isal import isal_zlib

    members = _Members(source, partial(isal_zlib.decompressobj, wbits=31))
    return members, cast("_Errors", (isal_zlib.IsalError,))


def _zstd(source: PeekedSource) -> _Opened:
    import zstandard

    reader = zstandard.ZstdDecompressor().stream_reader(
        cast("IO[bytes]", source), read_across_frames=True
    )
    return reader, (zstandard.ZstdError,)


def _lz4(source: PeekedSource) -> _Opened:
    import lz4.frame

    # Its errors are RuntimeError, whatever is wrong.
    return _Members(source, lz4.frame.LZ4FrameDecompressor), (RuntimeError,)


def _xz(source: PeekedSource) -> _Opened:
    return lzma.LZMAFile(cast("IO[bytes]", source), "rb"), (lzma.LZMAError,)


_OPENERS: dict[str, Callable[[PeekedSource], _Opened]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "lz4": _lz4,
    "xz": _xz,
}
