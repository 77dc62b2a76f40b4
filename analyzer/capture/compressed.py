"""Captures that were compressed, told by their first octets and read as plain ones."""

from __future__ import annotations

import lzma
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Protocol, cast

from analyzer._cext.frames import Piece
from analyzer.errors import CaptureError
from analyzer.threads import leave_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from analyzer._cext.frames import FrameReader

#: First octets of each format: RFC 1952, RFC 8878, LZ4 frame format, XZ file format.
MAGICS = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x04\x22\x4d\x18",
    "xz": b"\xfd7zXZ\x00",
}
# Compressed octets to read at a time.
_PACKED_PIECE = 64 * 1024

# Pieces of decompressed octets to be ahead by: what the second-level cache holds.
_PIECES_AHEAD = 6

LONGEST_MAGIC = max(map(len, MAGICS.values()))


class _Readable(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read into a buffer; the number of octets, 0 at the end."""


class OctetSource(_Readable, Protocol):
    """What captures are read from."""

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
        self._buffer = bytearray()

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read the octets that were looked at, then those of the source."""
        if not self._first:
            return self._source.readinto(buffer)
        count = min(len(buffer), len(self._first))
        buffer[:count] = self._first[:count]
        self._first = self._first[count:]
        return count

    def read(self, size: int) -> bytes:
        """Read as a file does, for the decompressors."""
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        view = memoryview(self._buffer)[:size]
        return bytes(view[: self.readinto(view) or 0])

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


class DamagedStreamError(CaptureError):
    """A compressed capture that breaks off or does not keep to its format."""


class DecompressedSource:
    """A compressed source, read as a plain one.

    Parameters
    ----------
    packed : PeekedSource
        The compressed octets.
    compression : str
        A key of `MAGICS`.
    """

    def __init__(self, packed: PeekedSource, compression: str) -> None:
        self._packed = packed
        self._source, errors = _OPENERS[compression](packed)
        self._errors: _Errors = (EOFError, OSError, *errors)

    def readinto(self, buffer: memoryview, /) -> int:
        """Read decompressed octets."""
        try:
            return self._source.readinto(buffer) or 0
        except self._errors as error:
            raise DamagedStreamError(str(error)) from error

    def close(self) -> None:
        """Let go of the file."""
        self._packed.close()


class PiecesAhead:
    """A source that is read in a thread of its own, a few pieces ahead.

    They are filled again and again: what is allocated in one thread and freed in
    another one costs a page fault for every 4 KiB.

    Parameters
    ----------
    source : OctetSource
        Must not keep its reader waiting: `close` waits for it.
    """

    def __init__(self, source: OctetSource) -> None:
        self._source = source
        self._spare: SimpleQueue[Piece | None] = SimpleQueue()
        self._filled: SimpleQueue[tuple[Piece, int] | Exception] = SimpleQueue()
        for _ in range(_PIECES_AHEAD):
            self._spare.put(Piece())
        self._is_closed = False
        self._thread = Thread(target=self._read_ahead, name="decompressor", daemon=True)
        self._thread.start()

    def fill(self, reader: FrameReader) -> int:
        """Let a reader take the next piece; the number of octets, 0 at the end."""
        filled = self._filled.get()
        if isinstance(filled, Exception):
            raise filled
        piece, count = filled
        reader.take(piece, count)
        self._spare.put(piece)
        return count

    def close(self) -> None:
        """Stop reading, and let go of the file."""
        self._is_closed = True
        self._spare.put(None)
        self._thread.join()
        self._source.close()

    def _read_ahead(self) -> None:
        leave_signals()
        while (piece := self._spare.get()) is not None and not self._is_closed:
            try:
                count = self._source.readinto(piece.space()) or 0
            except Exception as error:  # noqa: BLE001  raised where it is read
                self._filled.put(error)
                return
            self._filled.put((piece, count))
            if count == 0:
                return


class _Decompressor(Protocol):
    """What the libraries have for one member or frame, as the module bz2 has it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes: ...


class _Members:
    """Members or frames, one after the other; all that comes before a damage is given.

    The libraries' file objects hold back what they have when their input ends.
    """

    def __init__(self, packed: PeekedSource, new: Callable[[], _Decompressor]) -> None:
        self._packed = packed
        self._new = new
        self._member = new()
        self._is_inside = False
        self._buffer = memoryview(bytearray(_PACKED_PIECE))

    def readinto(self, buffer: memoryview, /) -> int:
        """Decompress what is at hand, at least an octet; 0 at the end."""
        octets: bytes | memoryview
        while True:
            octets = b""
            if self._member.eof:
                octets = self._member.unused_data or b""
                self._member, self._is_inside = self._new(), False
            if not octets and self._member.needs_input:
                octets = self._buffer[: self._packed.readinto(self._buffer) or 0]
                if not octets:
                    if self._is_inside:
                        raise EOFError("it ends before its end-of-stream marker")
                    return 0
            if not self._is_inside:
                octets = bytes(octets).lstrip(b"\0")  # there may be padding
                self._is_inside = bool(octets)
            if self._is_inside and (
                plain := self._member.decompress(octets, len(buffer))
            ):
                buffer[: len(plain)] = plain
                return len(plain)


def compression_of(first: bytes) -> str | None:
    """Tell a compression format by a file's first octets, None if there is none."""
    for name, magic in MAGICS.items():
        if first.startswith(magic):
            return name
    return None


_Errors = tuple[type[Exception], ...]
_Opened = tuple[_Readable, _Errors]


def _gzip(packed: PeekedSource) -> _Opened:
    from isal import igzip_lib

    new = partial(igzip_lib.IgzipDecompressor, flag=igzip_lib.DECOMP_GZIP)
    return _Members(packed, new), cast("_Errors", (igzip_lib.IsalError,))


def _zstd(packed: PeekedSource) -> _Opened:
    import zstandard

    reader = zstandard.ZstdDecompressor().stream_reader(
        cast("IO[bytes]", packed), read_across_frames=True
    )
    return reader, (zstandard.ZstdError,)


def _lz4(packed: PeekedSource) -> _Opened:
    import lz4.frame

    # Its errors are RuntimeError, whatever is wrong.
    return _Members(packed, lz4.frame.LZ4FrameDecompressor), (RuntimeError,)


def _xz(packed: PeekedSource) -> _Opened:
    return _Members(packed, lzma.LZMADecompressor), (lzma.LZMAError,)


_OPENERS: dict[str, Callable[[PeekedSource], _Opened]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "lz4": _lz4,
    "xz": _xz,
}
