"""Decodes one track on a chip, and where the chip fails on the CPU: no picture is lost, and none comes twice."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from capture.chips import CHIPS, chip_errors, chips_of, open_chip, reason_of
from capture.upright import AS_IT_IS, Turn, turn_of

if TYPE_CHECKING:
    from av import Packet, VideoCodecContext, VideoFrame, VideoStream

log = logging.getLogger("capture")

# What swscale makes of a chip's own layout is up to 94 of 255 beside what it makes of the planes that the CPU decodes,
# in five times the time (1920x1080: 8.5 ms, 1.7). To the planes first takes 0.35 ms, and the pictures are the same.
PLANES = {"nv12": "yuv420p", "p010le": "yuv420p10le"}
MOST_HELD = 1000  # packets since the key frame before the last: 20 s of 50 pictures/s, some MB
MOST_SILENT = 60  # packets without a picture, of which the CPU had one: more than any order of pictures holds back


class ChipDecoder:
    """Decodes the packets of a track in its place. `name` says what does so now: cuda, qsv, or cpu.

    `turn` is what the container says of how pictures are turned. Only the track's own decoder is told of that, so it
    decodes the packets up to its first picture, too. Errors are those of `VideoStream.decode`: damaged packets.
    """

    def __init__(self, name: str, context: VideoCodecContext, track: VideoStream) -> None:
        self.name, self.context, self._track = name, context, track
        self.turn: Turn | None = None
        self._chip: VideoCodecContext | None = context
        self._called = CHIPS[name].name
        self._begun = self._seen = False  # a picture came from the CPU; and from the chip
        self._held: deque[Packet] = deque(maxlen=MOST_HELD)
        self._given: deque[int | None] = deque(maxlen=MOST_HELD)
        self._key_at = 0  # how many of the held packets lie before the newest key frame

    def decode(self, packet: Packet) -> list[VideoFrame]:
        """The pictures that come out, in the order in which they are shown."""
        import av

        if self._chip is None:
            return self._track.decode(packet)
        self._hold(packet)
        if not self._begun:
            self._look(packet)
        try:
            frames = self._chip.decode(packet)
        except chip_errors() as error:
            if isinstance(error, av.error.InvalidDataError) and (self._seen or not self._begun):
                raise  # it is the packet that is wrong
            return self._go_on_without(reason_of(error))
        if frames and not self._seen:
            self._seen = True
            if self._chip.pix_fmt != self.name:  # FFmpeg itself has gone on in software, and no picture was lost
                self._tell(f"it does not decode {self._chip.name} as {self._chip.pix_fmt}")
        if self._begun and not self._seen and (len(self._held) > MOST_SILENT or not packet.size):
            return self._go_on_without("it gives no pictures")
        self._given.extend(frame.pts for frame in frames)
        return [in_planes(frame) for frame in frames]

    def flush(self) -> None:
        """The next packet is of another place: nothing before it is known any more."""
        self._held.clear()
        self._given.clear()
        self._key_at = 0
        self.context.flush_buffers()

    def _hold(self, packet: Packet) -> None:
        """Keep what the CPU would need, from the key frame before the last: the last pictures before one come late."""
        if packet.is_keyframe:
            for _ in range(min(self._key_at, len(self._held))):
                self._held.popleft()
            self._key_at = len(self._held)
        self._held.append(packet)

    def _look(self, packet: Packet) -> None:
        """Decode on the CPU, until there is a picture that tells how all are turned."""
        import av

        try:
            frames = self._track.decode(packet)
        except av.error.FFmpegError:
            return
        if frames:
            turn, self._begun = turn_of(frames[0]), True
            self.turn = None if turn == AS_IT_IS else turn

    def _go_on_without(self, reason: str) -> list[VideoFrame]:
        """All that is held, decoded on the CPU: the pictures that the chip has not given."""
        import av

        self._tell(reason)
        self._chip, self.context = None, self._track.codec_context
        self.context.flush_buffers()
        given, frames = {pts for pts in self._given if pts is not None}, []
        for packet in self._held:
            try:
                frames += self._track.decode(packet)
            except av.error.FFmpegError:
                continue  # the chip has passed over it, too
        self._held.clear()
        return [frame for frame in frames if frame.pts not in given]

    def _tell(self, reason: str) -> None:
        log.warning("%s: %s; the CPU decodes instead", self._called, reason)
        self.name = "cpu"


def chip_decoder(decode: str, track: VideoStream) -> ChipDecoder | None:
    """What decodes a track on the first chip that opens for it; None: none does, it is decoded on the CPU.

    A chip that was asked for by its name is missed in one line, one that `auto` would have taken is no news.
    """
    for name in chips_of(decode):
        try:
            context = open_chip(name, track.codec_context.codec.canonical_name)
            prepare(context, track.codec_context)
        except chip_errors() as error:
            level = logging.DEBUG if decode == "auto" else logging.WARNING
            log.log(level, "%s: %s; the CPU decodes instead", CHIPS[name].name, reason_of(error))
            continue
        return ChipDecoder(name, context, track)
    return None


def prepare(context: VideoCodecContext, like: VideoCodecContext) -> None:
    """Set up a decoder for the packets of a track, whose own decoder is `like`."""
    context.extradata = like.extradata
    context.width, context.height = like.width, like.height
    context.copy_opaque, context.thread_count, context.thread_type = True, 1, "SLICE"
    context.color_range, context.colorspace = like.color_range, like.colorspace  # where only the container tells them


def in_planes(frame: VideoFrame) -> VideoFrame:
    """The same pixels in the layout that the CPU decodes into."""
    planes = PLANES.get(frame.format.name)
    return frame.reformat(format=planes, threads=1) if planes else frame
