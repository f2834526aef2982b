"""How much of a film was read, measured at what its container promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import Packet, VideoStream
    from av.container import InputContainer

_FROM_ZERO = ("matroska", "nut", "asf")  # their length is counted from time 0, not from the first packet


class Extent:
    """What is promised, and what the packets add up to.

    Nothing is promised where FFmpeg guesses the length from the end of the file itself, as of MPEG-TS. A film that
    begins at 3600 s is whole, so is one whose sound goes on for longer than its pictures: all its packets are there.
    """

    def __init__(self, container: InputContainer, track: VideoStream) -> None:
        from av.format import Flags

        guessed = Flags(container.format.flags) & (Flags.ts_discont | Flags.no_timestamps)
        self._from_zero = container.format.name.startswith(_FROM_ZERO)
        self._track_s = float(track.duration * track.time_base) if track.duration and track.time_base else None
        self._whole_s = container.duration / 1e6 if container.duration else None
        self._promises = not guessed and (self._track_s or self._whole_s) is not None
        self._track = track.index
        self._begins: dict[int, float] = {}  # by stream: the first and the last moment of its packets, s
        self._ends: dict[int, float] = {}
        self._shows_s: float | None = None  # the time of the first picture

    def read(self, packet: Packet) -> None:
        """Take in a packet; those that the film's edit list hides do not count."""
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None or packet.is_discard:
            return
        index, unit_s = packet.stream_index, float(packet.time_base)
        at_s = stamp * unit_s
        end_s = at_s + (packet.duration or 0) * unit_s
        self._begins[index] = min(at_s, self._begins.get(index, at_s))
        self._ends[index] = max(end_s, self._ends.get(index, end_s))

    def shown(self, at_s: float | None) -> None:
        """The first picture came out."""
        if self._shows_s is None:
            self._shows_s = at_s

    @property
    def lead_s(self) -> float:
        """The time before the first picture of which there are packets, but no picture: it began between key frames."""
        begins_s = self._begins.get(self._track)
        return 0.0 if begins_s is None or self._shows_s is None else max(0.0, self._shows_s - begins_s)

    @property
    def missing_s(self) -> float:
        """How much less was read than is promised."""
        if not self._promises or not self._begins:
            return 0.0
        begin_s, end_s = min(self._begins.values()), max(self._ends.values())
        missing = []
        if self._track_s is not None and self._track in self._begins:
            missing.append(self._track_s - (self._ends[self._track] - self._begins[self._track]))
        if self._whole_s is not None:
            missing.append(self._whole_s - (end_s - begin_s))
            if self._from_zero:
                missing.append(self._whole_s - end_s)
        return max(0.0, min(missing, default=0.0))


def tells_length(container: InputContainer, track: VideoStream) -> bool:
    """Of a fragmented MP4, which may be live, FFmpeg adds up the fragments that it has seen; only its count is 0."""
    fragmented = container.format.name.startswith("mov") and not track.frames
    return bool(container.duration and container.duration > 0) and not fragmented
