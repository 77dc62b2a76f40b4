"""Capture files and streams: where octets come from, and what was read of them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer._cext.frames import FrameReader
from analyzer.capture.compressed import (
    LONGEST_MAGIC,
    DamagedStreamError,
    DecompressedSource,
    OctetSource,
    PeekedSource,
    PiecesAhead,
    compression_of,
)
from analyzer.capture.following import Following
from analyzer.capture.observation import capture_stem
from analyzer.errors import CaptureError, UnknownFormatError
from analyzer.tables.captures import CaptureSummary, Damage, Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = [
    "Capture",
    "CaptureSummary",
    "Damage",
    "Interface",
    "capture_stem",
    "check_readable",
    "compression_at",
    "is_capture",
]

#: Octets read at a time: what the second-level cache holds beside the flow table.
CHUNK_SIZE = 256 * 1024

#: Octets of a plain file to decode before the interpreter has its turn: for signals,
#: the progress bar, and other threads.
_TURN = 64 << 20

STANDARD_INPUT = "-"

# pcap in both byte orders and resolutions; pcapng.
_MAGICS = (
    b"\xa1\xb2\xc3\xd4",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x4d\x3c\xb2\xa1",
    b"\x0a\x0d\x0d\x0a",
)


def check_readable(path: str | Path) -> None:
    """Refuse a path that cannot be a capture, before anything else is read.

    Raises
    ------
    CaptureError
        If there is no such file, or it is a directory.
    """
    if os.fspath(path) == STANDARD_INPUT:
        return
    if not Path(path).exists():
        raise CaptureError(
            f"{path}: no such file", hint="check the path of the capture"
        )
    if Path(path).is_dir():
        raise CaptureError(
            f"{path}: is a directory, not a capture",
            hint="name the captures in it, or let `analyze flows` find them",
        )


def compression_at(path: str | Path) -> str | None:
    """Tell by its first octets how a file was compressed, None if it was not.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as file:
        return compression_of(file.read(LONGEST_MAGIC))


def is_capture(path: str | Path) -> bool:
    """Tell by its first octets, decompressed if need be, whether a file is a capture.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as file:
        octets = file.read(LONGEST_MAGIC)
        if compression := compression_of(octets):
            first = memoryview(bytearray(LONGEST_MAGIC))
            source = DecompressedSource(PeekedSource(octets, file), compression)
            try:
                octets = bytes(first[: source.readinto(first)])
            except DamagedStreamError:
                return False
            finally:
                source.close()
    return octets.startswith(_MAGICS)


class Capture:
    """One capture that is read once, from its first octet to its last.

    Parameters
    ----------
    path : str or Path
        A file, or ``-`` for standard input.
    name : str, optional
        What the tables call it; the file's name if not given.
    following : Following, optional
        Says when to read on and when to end; at the capture's end if not given.
    frames : int
        Frames of the same capture in files before this one.

    Attributes
    ----------
    reader : FrameReader
        Holds the octets read last, and what the capture says of itself.
    """

    def __init__(
        self,
        path: str | Path,
        name: str | None = None,
        *,
        following: Following | None = None,
        frames: int = 0,
    ) -> None:
        self.path = os.fspath(path)
        self.is_stream = self.path == STANDARD_INPUT
        self.name = name or ("stdin" if self.is_stream else Path(path).name)
        self.reader = FrameReader(frames)
        self.size: int | None = None
        self.compression: str | None = None
        self._following = following or Following()
        self._stream: int | None = None  # descriptor, unless it is a file
        self._octets_read = 0
        self._plain: int | None = None  # descriptor, unless compressed
        self._stream_damage: list[Damage] = []
        self._source = self._open()
        self._ahead: PiecesAhead | None = None
        if self.compression is not None and self._stream is None:
            self._ahead = PiecesAhead(self._source)

    @property
    def stem(self) -> str:
        """The name without the endings of formats and compressions."""
        return capture_stem(self.name)

    def chunks(
        self,
        *,
        chunk_size: int = CHUNK_SIZE,
        progress: Callable[[int], None] | None = None,
    ) -> Generator[None]:
        """Fill the reader's buffer, again and again until the capture ends.

        Parameters
        ----------
        chunk_size : int
            Octets to read at a time; the tables do not depend on it.
        progress : callable, optional
            Told how many octets of the file have been read since it was told last.

        Raises
        ------
        UnknownFormatError
            If the octets are not a capture.
        """
        reader = self.reader
        told = 0
        try:
            while not reader.done:
                try:
                    if not self._fill(chunk_size):
                        break
                except DamagedStreamError as error:
                    if not self._was_ended:
                        self._note_stream_damage(error)
                    break
                yield
                if progress is not None:
                    read = self._octets_read + reader.octets_read
                    progress(read - told)
                    told = read
            # A stream's damage is told already; what was not waited for is none.
            if reader.format is None or not (self._stream_damage or self._was_ended):
                reader.finish()
            yield  # what the end of the capture completes
        finally:
            self.close()
        if self._was_ended and self.size is not None:
            self.size = self._octets_read + reader.octets_read
        if reader.format in {None, "unknown"}:
            raise self._format_error()

    def close(self) -> None:
        """Let go of the file, read or not."""
        (self._ahead or self._source).close()

    def summary(self) -> CaptureSummary:
        """Say what the capture is; the decoder knows what was in it."""
        return CaptureSummary(
            path=self.path,
            name=self.name,
            size=self.size,
            format=self.reader.format or "unknown",
            compression=self.compression,
            interfaces=[Interface(*values) for values in self.reader.interfaces],
            damage=[
                *(Damage(*values) for values in self.reader.damages),
                *self._stream_damage,
            ],
        )

    def _open(self) -> OctetSource:
        if self.is_stream:
            file = os.fdopen(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
        else:
            check_readable(self.path)
            try:
                file = Path(self.path).open("rb", buffering=0)  # noqa: SIM115
            except OSError as error:
                raise CaptureError(
                    f"{self.path}: cannot be opened ({error.strerror})",
                    hint="captures made by root may need sudo or chmod to be read",
                ) from error
            self.size = os.fstat(file.fileno()).st_size or None
        if self.is_stream or not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            self._stream = file.fileno()
        source = _CountedSource(file, self)
        try:
            self._first = self._read_first(source)
        except CaptureError:
            source.close()
            raise
        self.compression = compression_of(self._first)
        if self.compression is None:
            self._plain = file.fileno()
            self.reader.space(len(self._first))[:] = self._first
            self.reader.filled(len(self._first))
            return source
        return DecompressedSource(PeekedSource(self._first, source), self.compression)

    def _fill(self, chunk_size: int) -> int | None:
        """Put octets into the reader's buffer; how many, 0 at the end."""
        if (plain := self._plain) is not None:
            # A stream may have no more than its next octets: they are waited for.
            most = _TURN if self._stream is None else 1
            return self.read(lambda: self.reader.fill(plain, chunk_size, most))
        if self._ahead is not None:
            return self._ahead.fill(self.reader)
        count = self._source.readinto(self.reader.space(chunk_size))
        self.reader.filled(count or 0)
        return count

    def _read_first(self, source: OctetSource) -> bytes:
        """Read the octets that tell the compression."""
        first = bytearray()
        while len(first) < LONGEST_MAGIC:
            wanted = bytearray(LONGEST_MAGIC - len(first))
            try:
                count = source.readinto(memoryview(wanted))
            except OSError as error:
                raise CaptureError(
                    f"{self.path}: cannot be read ({error.strerror})"
                ) from error
            if not count:
                break
            first += wanted[:count]
        if not first:
            raise UnknownFormatError(
                f"{self.path}: is empty",
                hint="tcpdump writes the file header at once: was it started?",
            )
        return bytes(first)

    def read(self, read: Callable[[], int | None]) -> int:
        """Read from the file, waiting for octets where they are still to come."""
        return self._following.read(read, self._stream)

    @property
    def _was_ended(self) -> bool:
        return self._following.ended

    def count_octets(self, count: int) -> None:
        """Note that octets of the file were read."""
        self._octets_read += count

    def _note_stream_damage(self, error: DamagedStreamError) -> None:
        self._stream_damage.append(
            Damage(
                f"the {self.compression} stream breaks off ({error})",
                self.reader.offset,
                self.reader.frames,
            )
        )

    def _format_error(self) -> UnknownFormatError:
        if self._stream_damage:
            return UnknownFormatError(
                f"{self.path}: {self._stream_damage[0].reason}",
                hint=f"test the file with the {self.compression} program",
            )
        if self.compression is not None:
            return UnknownFormatError(
                f"{self.path}: no pcap or pcapng file inside the {self.compression} "
                "stream",
                hint="an archive (tar) must be unpacked first",
            )
        if self.reader.cut_in_header:
            return UnknownFormatError(
                f"{self.path}: ends inside the file header of a pcap file",
                hint="was the disk full, or tcpdump stopped before its first packet?",
            )
        return UnknownFormatError(
            f"{self.path}: not a pcap or pcapng file "
            f"(starts with {self._first[:4].hex(' ')})",
            hint="captures are what `tcpdump -w FILE` writes",
        )


class _CountedSource:
    """A file that tells its capture how much was read of it."""

    def __init__(self, file: OctetSource, capture: Capture) -> None:
        self._file = file
        self._capture = capture

    def readinto(self, buffer: memoryview, /) -> int | None:
        count = self._capture.read(lambda: self._file.readinto(buffer))
        self._capture.count_octets(count)
        return count

    def close(self) -> None:
        self._file.close()
