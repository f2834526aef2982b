"""Packets of a camera or a film, written into an MP4 as they came: nothing is decoded, nothing is encoded.

MP4, because browsers and phones play it; Matroska, which takes any codec, they do not.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from recordings.being_written import hold

if TYPE_CHECKING:
    from av import AudioStream, VideoStream
    from av.container import OutputContainer
    from av.stream import Stream

VIDEO, SOUND = 0, 1  # the tracks of a recording

# A fragment each second: a killed recorder leaves a file that plays, without its last second. It becomes an ordinary
# MP4 with one index when it is closed. Negative offsets: else pictures that are shown in another order than they are
# decoded (B-frames) move all times of the file, by 80 ms for two of them at 25/s, and its first picture is not at 0.
_CONTAINER = {"movflags": "hybrid_fragmented+negative_cts_offsets", "frag_duration": "1000000", "flush_packets": "1"}
_BUFFER_BYTES = 1 << 18  # written at once
_LOOK_S = 1.0  # how often it is looked whether the file is there still


@dataclass(frozen=True, slots=True)
class Parcel:
    """One packet, on its own: `track` is VIDEO or SOUND; `pts`, `dts` and `duration` are in units of `time_base`, s.

    `pts` may be smaller than that of the packet before: packets come in the order in which they are decoded.
    """

    track: int
    data: bytes
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    key: bool

    @property
    def seconds(self) -> Fraction:
        """When it is shown, by the clock of its source."""
        return self.pts * self.time_base


class Tracks:
    """What the packets of a source are: codec, size, parameters. It outlives the source that it was taken from.

    Raises InputError, without a name in front, if MP4 cannot hold the pictures. `left_out` says why there is no sound.
    """

    def __init__(self, video: VideoStream, sound: AudioStream | None = None) -> None:
        import av

        self._container = av.open(io.BytesIO(), "w", format="mp4")  # holds the streams; nothing is ever written to it
        self.left_out = ""
        self.codec = video.codec_context.name
        try:
            self._container.add_stream_from_template(video, opaque=True)
        except ValueError:
            raise InputError(f"its pictures are {self.codec}, which MP4 cannot hold") from None
        if sound is not None:
            try:
                self._container.add_stream_from_template(sound, opaque=True)
            except ValueError:
                self.left_out = f"its sound is {sound.codec_context.name}, which MP4 cannot hold"

    @property
    def parameters(self) -> bytes:
        """What a decoder of the pictures must know before the first one; empty: the packets tell it."""
        return bytes(self._container.streams.video[0].codec_context.extradata or b"")

    @property
    def has_sound(self) -> bool:
        return len(self._container.streams) > 1

    def add_to(self, container: OutputContainer, parameters: bytes, size: tuple[int, int] | None) -> list[Stream]:
        """Add such tracks to a file, the pictures with these parameters and this size, (width, height)."""
        tracks = [container.add_stream_from_template(stream, opaque=True) for stream in self._container.streams]
        pictures = container.streams.video[0].codec_context
        if parameters:
            pictures.extradata = parameters
        if size:
            pictures.width, pictures.height = size
        return tracks


class PacketFile:
    """An MP4 that is being written; its first picture, a key frame at `began` s by the clock of its source, is at 0.

    Raises OSError where it cannot be written, also if the file is there already.
    """

    def __init__(
        self,
        path: Path,
        tracks: Tracks,
        began: Fraction,
        began_unix_s: float,
        parameters: bytes = b"",
        size: tuple[int, int] | None = None,
    ) -> None:
        import av

        self.path, self._began = path, began
        self._file = _WholeWrites(path)
        self._container = av.open(self._file, "w", format="mp4", options=_CONTAINER, buffer_size=_BUFFER_BYTES)
        try:
            self._tracks = tracks.add_to(self._container, parameters, size)
        except BaseException:
            self.abandon()
            raise
        created = datetime.fromtimestamp(began_unix_s, UTC).isoformat(timespec="milliseconds")
        self._container.metadata["creation_time"] = created.replace("+00:00", "Z")

    @property
    def flows(self) -> bool:
        """Whether a whole fragment has been written: there is room on the disk."""
        return self._file.written > 0

    def add(self, parcel: Parcel) -> None:
        """Append a packet."""
        import av

        self._file.look()
        shift = round(self._began / parcel.time_base)
        packet = av.Packet(parcel.data)
        packet.time_base, packet.duration, packet.is_keyframe = parcel.time_base, parcel.duration, parcel.key
        packet.pts, packet.dts = parcel.pts - shift, parcel.dts - shift
        packet.stream = self._tracks[parcel.track]
        with _errors_of_the_system():
            self._container.mux(packet)

    def close(self) -> None:
        """Write the index."""
        try:
            with _errors_of_the_system():
                self._container.close()
            self._file.look(now=True)
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Let go of a file that cannot be written any more; it stays as a killed recorder leaves it.

        One without a whole fragment goes: else each try on a full disk would leave one.
        """
        self._file.gives_up = True
        with contextlib.suppress(OSError), _errors_of_the_system():
            self._container.close()
        self._file.close()
        if not self._file.written:
            self._file.remove()


def size_of(codec: str, parameters: bytes, key_frame: bytes) -> tuple[int, int] | None:
    """Width and height of a picture, which is decoded for that; None if it cannot be."""
    import av

    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = parameters
    try:
        pictures = [*decoder.decode(av.Packet(key_frame)), *decoder.decode(None)]
    except av.error.FFmpegError:
        return None
    return (pictures[0].width, pictures[0].height) if pictures else None


@contextlib.contextmanager
def _errors_of_the_system() -> Iterator[None]:
    """What FFmpeg cannot do, as an OSError as well: one reason more why a file cannot be written."""
    import av

    try:
        yield
    except OSError:
        raise
    except av.error.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error


class _WholeWrites(io.RawIOBase):
    """A new file, in which each write is whole or raises. FFmpeg's own files keep the interpreter while they write, so
    that a disk that stands still would hold up the decoder in the next thread; and a short write it takes for one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._fd = path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        hold(self._fd)
        self._is, self._looked_s = os.fstat(self._fd), time.monotonic()
        self.written = 0  # bytes
        self.gives_up = False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        return os.read(self._fd, count)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.gives_up:
            return len(data)
        view, done = memoryview(data), 0
        while done < len(view):
            done += os.write(self._fd, view[done:])
        self.written += done
        return done

    def seek(self, offset: int, whence: int = 0) -> int:
        return os.lseek(self._fd, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def look(self, now: bool = False) -> None:
        """Raise OSError where the file was deleted or replaced: what is written into it is seen by nobody."""
        if now or time.monotonic() - self._looked_s > _LOOK_S:
            self._looked_s = time.monotonic()
            if not os.path.samestat(os.stat(self._path), self._is):
                raise FileNotFoundError(errno.ENOENT, "it was moved or replaced")

    def remove(self) -> None:
        """Remove it, if it is still the one that was made."""
        with contextlib.suppress(OSError):
            self.look(now=True)
            self._path.unlink()

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()
