"""Decodes anything that FFmpeg reads, files and network streams alike, into BGR pictures.

PyAV rather than cv2.VideoCapture: on a file cut off in the middle cv2 gives 42 of the 44 pictures that ffprobe counts,
a clip whose size changes is squeezed into its first size, and all colours are taken for BT.601. At the same cost:
640x480 0.69 ms of CPU per picture (cv2 0.66), 1280x720 2.1 ms (cv2 2.0), one thread each.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from capture.bookmark import KeyFrame
from capture.chip_decoder import chip_decoder
from capture.extent import Extent, tells_length
from capture.ffmpeg_error import broke_off, why
from capture.origin import Origin
from capture.patience import Patience
from capture.picture import NotYet, SourceLost
from capture.upright import SQUARE, Turn, turn_of

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream

    from capture.http_file import HttpFile, HttpParts
    from capture.packet_copy import PacketCopy
    from transport.frame import Recorded

USUAL_FPS = 25.0  # taken where a stream does not tell its rate
_TS_PACKET = 188  # bytes


class NoVideo(Exception):
    """What was opened has no pictures in it."""


class Decoder:
    """The first video track of a file or stream, opened.

    `fps` is the nominal rate, `damaged` the number of packets that could not be decoded so far, `extent` how much of
    what is promised was read, `tells_length` whether the container knows where it ends. `jumps`: the clock of this
    kind of container begins anew where a recorder does. A live source brings `patience`, and `timeouts_s` to open and
    to read; `parts` opens what a playlist names, `copy` takes its packets; `decode` says on which chip, as the option
    does. Raises av.error.FFmpegError, whose text contains the address with its password, or NoVideo.
    """

    def __init__(
        self,
        address: str | HttpFile,
        options: dict[str, str] | None = None,
        timeouts_s: tuple[float, float] | None = None,
        patience: Patience | None = None,
        parts: HttpParts | None = None,
        copy: PacketCopy | None = None,
        decode: str = "cpu",
    ) -> None:
        import av
        from av.format import Flags

        av.logging.set_level(None)  # FFmpeg's own lines name the address with its password
        self._patience, self._copy, self._decode_on = patience, copy, decode
        self._read_timeout_s = timeouts_s[1] if timeouts_s else math.inf
        self._address, self._options, self._timeouts_s = address, options or {}, timeouts_s
        self._container = av.open(address, "r", options=self._options, timeout=timeouts_s, io_open=parts)
        self._others: dict[int, int] = {}  # other tracks of pictures: id and first byte
        self._beside: set[int] = set()  # those of them that are no later part of this one
        self._shown_to_byte = self._followed_from = self._followed_track = 0
        self._take_track()
        self.fps = float(self._track.average_rate or self._track.guessed_rate or USUAL_FPS)
        self.jumps = Flags.ts_discont in Flags(self._container.format.flags)
        self.extent = Extent(self._container, self._track)
        self.tells_length = tells_length(self._container, self._track)
        self.damaged = 0

    def _take_track(self, after: int | None = None) -> None:
        """Set up the first track of pictures; behind the end of one a new one, and none that ran beside it.

        Closes the container where there is none.
        """
        tracks = [track for track in self._container.streams.video if not _is_cover(track)]
        tracks = [track for track in tracks if track.id not in self._beside]
        tracks.sort(key=lambda track: track.id == after)  # what is left of the old one may still be listed
        if not tracks:
            self._container.close()
            raise NoVideo
        self._track = tracks[0]
        self._track.thread_type = "SLICE"  # frame threads hold pictures back
        self._track.codec_context.thread_count = 1
        self._track.codec_context.copy_opaque = True
        self._chip = chip_decoder(self._decode_on, self._track)
        self._pixel_shape: Fraction = self._track.sample_aspect_ratio or SQUARE
        self._coded_shape: Fraction | None = None  # what the first picture itself said of its pixels
        self._turn: tuple[int, Turn] | None = None  # of the newest picture: its rotation, and all of it
        if self._copy:
            sound = self._container.streams.audio
            self._copy.begin(self._track, sound[0] if sound else None, live=self._patience is not None)

    def frames(self) -> Iterator[VideoFrame]:
        """The decoded pictures in the order they are shown. Packets that cannot be decoded are passed over.

        Ends at the end, and where a file turns out to be cut off. Of a live source it raises SourceLost where the
        stream breaks or has had no picture for too long, and NotYet where it may only be slow: ask for frames again.
        """
        yield from self._frames_of_track()
        yield from self.parts_to_come()

    def parts_to_come(self) -> Iterator[VideoFrame]:
        """The pictures behind the end of what was opened, where a recorder began anew."""
        while self._patience is None and self._follow():
            yield from self._frames_of_track()

    def _frames_of_track(self) -> Iterator[VideoFrame]:
        import av

        asked_s = time.monotonic()
        try:
            for packet in self._packets():
                frames = self._decode(packet) if packet.stream_index == self._track.index else []
                if self._patience:
                    self._watch(self._patience, frames)
                yield from frames
                asked_s = time.monotonic()
        except av.error.FFmpegError as error:
            if self._patience:
                silent = broke_off(error, asked_s, self._read_timeout_s)
                if silent and self._patience.left_s:
                    raise NotYet from None
                raise SourceLost(_silence(self._patience) if silent else why(error)) from None
            self.damaged += 1
        yield from self._decode(self._last_packet())

    def packets(self) -> Iterator[Packet]:
        """The packets of the pictures, not decoded. Raises av.error.FFmpegError where a stream breaks or is silent."""
        return (packet for packet in self._packets() if packet.stream_index == self._track.index)

    def _packets(self) -> Iterator[Packet]:
        """The packets of all streams that were there when it was opened.

        PyAV 18 leaves out those of streams that appear later, and at the end raises IndexError for them.
        """
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets)
            except (StopIteration, IndexError):
                return
            if packet.size:  # those at the end are empty
                self.extent.read(packet)
                if packet.stream_index != self._track.index and packet.stream.type == "video":
                    self._others.setdefault(packet.stream.id, packet.pos or 0)
                if self._copy:
                    self._copy.take(packet)
                yield packet

    @staticmethod
    def _watch(patience: Patience, frames: list[VideoFrame]) -> None:
        if frames:
            patience.heard()
        elif not patience.left_s:  # sound only, or all damaged
            raise SourceLost(_silence(patience))

    def _last_packet(self) -> Packet:
        """An empty one: the decoder gives the pictures that it still holds for their order."""
        import av

        packet = av.Packet()
        if self._track.time_base:
            packet.time_base = self._track.time_base  # without a packet, as decode(None), their times are NaN
        return packet

    def _decode(self, packet: Packet) -> list[VideoFrame]:
        import av

        packet.opaque = origin = Origin(packet.is_corrupt, packet.pos or 0, packet.dts)
        try:
            frames = (self._chip or self._track).decode(packet)
        except av.error.FFmpegError:
            self.damaged += 1
            return []
        origin.pixel_shape = self._pixel_shape_now()
        for frame in frames:
            self._note(frame)
        return frames

    def _note(self, frame: VideoFrame) -> None:
        """Keep in mind how far pictures are shown, and which others lie before that: these are no part to come.

        How a picture is turned is read anew where its rotation changes.
        """
        self.extent.shown(frame.time)
        if self._turn is None or self._turn[0] != frame.rotation:
            self._turn = frame.rotation, (self._chip and self._chip.turn) or turn_of(frame)
        origin = frame.opaque
        if isinstance(origin, Origin):
            origin.turn = self._turn[1]
            self._shown_to_byte = max(self._shown_to_byte, origin.byte)
            self._beside |= {track for track, begins in self._others.items() if begins < origin.byte}

    def _pixel_shape_now(self) -> Fraction:
        """Width by height of a pixel: as the container says, until the pictures themselves say something new."""
        coded = (self._chip.context if self._chip else self._track.codec_context).sample_aspect_ratio or SQUARE
        if self._coded_shape is None:
            self._coded_shape = coded
        return self._pixel_shape if coded == self._coded_shape else coded

    def _follow(self) -> bool:
        """Go on behind the last picture of an MPEG-TS file whose recorder began anew there, with other PIDs.

        FFmpeg's own `merge_pmt_versions` finds some of them only, and ends in a corrupted heap where the new streams
        are in another order.
        """
        begin = self._shown_to_byte + _TS_PACKET
        if self._container.format.name != "mpegts" or not self._seekable or begin <= self._followed_from:
            return False
        return self._open_part(begin, self._track.id)

    def _open_part(self, begin: int, after: int) -> bool:
        """Open an MPEG-TS file anew from that byte on, behind the track of that id. False if nothing is there."""
        import av

        self._followed_from, self._followed_track = begin, after
        self._container.close()
        if not isinstance(self._address, str):
            self._address.seek(0)
        try:
            options = self._options | {"skip_initial_bytes": str(begin)}
            self._container = av.open(self._address, "r", options=options, timeout=self._timeouts_s)
            self._take_track(after)
        except (av.error.FFmpegError, NoVideo):
            return False
        return True

    @property
    def _seekable(self) -> bool:
        return isinstance(self._address, str) or self._address.seekable()

    def key_frame(self, frame: VideoFrame) -> KeyFrame | None:
        """How to get to a picture again without those before it; None where there is no way."""
        origin = frame.opaque
        if not frame.key_frame or not isinstance(origin, Origin):
            return None
        byte = 0 if self._container.format.name == "hls" else origin.byte  # counted from where it was opened, or sought
        if not byte and frame.pts is None:
            return None
        dts = min((stamp for stamp in (origin.dts, frame.pts) if stamp is not None), default=None)
        part, beside = (self._followed_from, self._followed_track), tuple(sorted(self._beside))
        return KeyFrame(frame.pts, dts, byte, *part, beside)

    def near(self, sought: KeyFrame) -> Iterator[Iterator[VideoFrame]]:
        """The pictures from somewhere before a key frame on, by one way of seeking after the other.

        Look for it in each (`is_at`). All is as if everything before had been read, but for `damaged`. Where it is in
        none of them the decoder is of no use any more.
        """
        import av

        if not self._seekable or (sought.part_byte and not self._open_part(sought.part_byte, sought.part_track)):
            return
        next(self._frames_of_track(), None)  # what the first picture says of the shape of pixels holds for all
        by_time = [] if sought.dts is None else [(sought.dts, self._track)]
        for offset, track in [*by_time, (sought.byte, None)]:
            try:
                self._container.seek(offset, stream=track, backward=bool(track), unsupported_byte_offset=not track)
            except av.error.FFmpegError:
                continue
            if self._chip:
                self._chip.flush()
            self._beside, self._shown_to_byte = set(sought.beside), sought.byte
            yield self._frames_of_track()

    @property
    def decodes(self) -> str:
        """What does: cpu, cuda or qsv."""
        return self._chip.name if self._chip else "cpu"

    def recorded(self, frame: VideoFrame) -> Recorded | None:
        """Where a picture is in the recording of the packets, if they are recorded."""
        return self._copy.at(frame.pts, frame.time_base) if self._copy else None

    def close(self) -> None:
        self._container.close()
        if self._copy:
            self._copy.end()


def _silence(patience: Patience) -> str:
    return f"no picture for {patience.limit_s:.3g} s"


def _is_cover(track: VideoStream) -> bool:
    """Whether the track is the one picture on the sleeve of a music file."""
    from av.stream import Disposition

    return bool(track.disposition & Disposition.attached_pic)
