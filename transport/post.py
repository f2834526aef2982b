"""A stage's links in the way of the frames: hears of them, takes them, passes them on, sends them home.

The word in a frame's slot says whose it is (transport/slot.py); a message only tells of it. So a message may come
late, twice, before another one or not at all: who hears of a frame looks at its word, and once a second, and when it
starts, a stage looks at all slots of its streams.
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from configs.plural import counted
from transport import header as at
from transport.codec import FrameHeader, Open, Return, WireError, encode_frame
from transport.frame import Ended, Frame, Held
from transport.journal import LOST
from transport.junk import Junk
from transport.pool import Pool, SegmentGone
from transport.recordings import RecordingCount, settle_recordings
from transport.slot import MAX_TRIES
from transport.spec import Spec, StreamPlace
from transport.station import Station
from transport.trace import Trace

if TYPE_CHECKING:
    from transport.channel import Receiver, Sender

log = logging.getLogger("transport")

_LISTEN_S = 0.1  # how long to wait for a frame before looking whether the run ends
_KEPT_LISTEN_S = 0.05  # while frames are kept, as transport/worker.py asks the stage then
_LOOK_NS = 1_000_000_000  # how often to look for frames that no message told of
_ENDED_NS = 100_000_000  # how often to look for streams that have ended
_HELD_NS = 200_000  # frames that end one after the other more quickly are told of together


def open_pool(spec: Spec, place: StreamPlace) -> Pool:
    """A stream's memory. Raises SegmentGone if it is not there, or the place is none that this run's supervisor gives.

    A message names files and addresses: whatever they are, none but those of the run is opened, or connected to.
    """
    ours = re.fullmatch(rf"/proc/{spec.parent}/fd/\d+", place.segment)
    if not (ours and place.id and place.returns.rpartition("/")[0] == spec.control.rpartition("/")[0]):
        raise SegmentGone(f"{place.segment} is not this run's")
    return Pool(place.segment, place.id)


class Post:
    """What one life of a stage does with its streams: `gather` gives frames, `pass_on` takes what became of them.

    It has the streams of its lane, or of its lanes where its row has fewer processes than there are lanes.
    `connect` makes the way to a capture, or to a process of the next row. `clock_ns` is monotonic.
    """

    def __init__(
        self,
        spec: Spec,
        inbox: Receiver,
        connect: Callable[[str], Sender],
        trace: Trace,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        open_pool: Callable[[Spec, StreamPlace], Pool] = open_pool,
    ) -> None:
        self._spec, self._inbox, self._connect = spec, inbox, connect
        self._is_last = not spec.outboxes
        self._trace, self._clock_ns, self._open_pool = trace, clock_ns, open_pool
        self._ignore = Junk(log.warning)
        self.stations: dict[str, Station] = {}
        self.recordings: dict[str, RecordingCount] = {}  # of each stream, in the last stage
        self._homes: dict[str, Sender] = {}
        self._outboxes: dict[str, Sender] = {}  # to the processes of the next row, by their addresses
        self._onward: dict[str, Sender] = {}  # that of each stream
        self._later: dict[str, StreamPlace] = {}  # of streams that have the name of one that has ended
        self._due: deque[tuple[Station, int, FrameHeader | None]] = deque()  # frames to take, in order of their streams
        self._sent_home: set[str] = set()
        self._sent_home_ns = self._looked_ns = self._asked_ns = 0
        self.held: dict[tuple[str, int], Frame] = {}  # of this batch, not passed on yet
        self.kept: set[tuple[str, int]] = set()  # for later batches
        for stream, place in spec.streams.items():
            self._open(stream, place)
        self._tell_again()
        self._look()

    def _open(self, stream: str, place: StreamPlace) -> None:
        if place.lane % self._spec.processes != self._spec.index:
            return  # another process of this stage has it, for life
        if stream in self.stations:
            if self.stations[stream].pool.id != place.id:
                self._later[stream] = place
            return
        try:
            pool = self._open_pool(self._spec, place)
        except SegmentGone:  # the stream was removed again meanwhile, or is none of this run
            return
        self.stations[stream] = Station(stream, pool, self._spec.place, self._spec.life)
        self._homes[stream] = self._connect(place.returns)
        if not self._is_last:
            address = self._spec.outboxes[place.lane % len(self._spec.outboxes)]
            if address not in self._outboxes:
                self._outboxes[address] = self._connect(address)
            self._onward[stream] = self._outboxes[address]
        else:
            if waited := settle_recordings(pool.head):
                frames = counted(waited, "frame")
                log.warning("%s: not recorded, as they waited when a life before died: %s", stream, frames)
            self.recordings[stream] = RecordingCount(pool.head)

    def _tell_again(self) -> None:
        """Tell of what is under way from here: word of it may have died with the life before."""
        for station in self.stations.values():
            self._sent_home.add(station.stream)
            if not self._is_last:
                for slot in station.offers():
                    self._onward[station.stream].send(station.pool.noted(slot, self._spec.place + 1))

    def _look(self) -> None:
        """Look for frames that are this stage's, whether a message told of them or not."""
        self._looked_ns = self._clock_ns()
        for station in self.stations.values():
            self._due.extend((station, slot, None) for slot in station.own())

    def gather(self) -> list[Frame]:
        """Up to `batch` frames that wait already, or come within `wait_ms` of the first.

        A frame that a life before died with comes alone: if this one dies, too, it was that frame and none beside it.
        """
        batch: list[Frame] = []
        deadline_ns = 0
        while len(batch) < self._spec.batch:
            if not self._due:
                idle_s = _KEPT_LISTEN_S if self.kept else _LISTEN_S
                left_s = max(0.0, (deadline_ns - self._clock_ns()) / 1e9) if batch else idle_s
                if not self._listen(left_s):
                    break
                continue  # what was heard may be no frame, or one that another message told of before
            station, slot, header = self._due[0]
            suspect = station.tries(slot) > 0
            if suspect and batch:
                break
            self._due.popleft()
            if (frame := self._take(station, slot, header)) is not None:
                deadline_ns = deadline_ns or self._clock_ns() + round(self._spec.wait_ms * 1e6)
                batch.append(frame)
                if suspect:
                    break
        self.held = {(frame.stream, frame.seq): frame for frame in batch}
        self._trace.took(len(batch))
        return batch

    def _listen(self, timeout_s: float) -> bool:
        """Hear one message, or look; False if there is nothing.

        Before it waits for a message, capture is told of the frames that have ended.
        """
        if self._clock_ns() - self._looked_ns > _LOOK_NS:
            self._look()
            if self._due:
                return True
        message = self._inbox.receive(0, self._ignore)
        if message is None:
            self.send_home()
            message = self._inbox.receive(timeout_s, self._ignore) if timeout_s else None
        if isinstance(message, FrameHeader):
            self._heard(message)
        elif isinstance(message, Open):
            self._open(message.stream, StreamPlace(message.segment, message.id, message.returns, message.lane))
            self._looked_ns = 0  # frames of it may have been told of before
        elif message is not None:
            self._ignore(WireError(f"{message} does not belong here"))
        return message is not None

    def _heard(self, header: FrameHeader) -> None:
        station = self.stations.get(header.stream)
        if station is None or header.segment != station.pool.id:
            return  # of a stream that has ended, or that the supervisor has not told of yet
        if station.is_next(header.slot, header.seq):
            self._due.append((station, header.slot, header))
        else:
            self._due.extend((station, slot, None) for slot in station.own())

    def _take(self, station: Station, slot: int, header: FrameHeader | None) -> Frame | None:
        """The frame of a slot, now this life's; None if there is no work to do on it."""
        station.take(slot)
        if station.outcome(slot):  # a life before had ended it, and died before it could send it home
            self._home(station, slot)
            return None
        if header is None:
            header = station.known(slot)
        frame = header.with_pixels(station.pool.picture(slot, header.height, header.width, header.colours))
        if station.tries(slot) > MAX_TRIES:
            log.warning("%s #%d is lost: %d lives died with it", frame.stream, frame.seq, MAX_TRIES)
            self._end(station, frame, LOST, self._clock_ns() - frame.captured_ns)
            return None
        return frame

    def pass_on(self, result: Frame | Ended | Held) -> None:
        """Give a frame to the next stage, or home; not if the supervisor has counted it as `stopped` meanwhile."""
        frame = result if isinstance(result, Frame) else result.frame
        key, slot = (frame.stream, frame.seq), frame.slot
        was_kept = key in self.kept
        if was_kept:
            self.kept.remove(key)
        else:
            del self.held[key]  # KeyError: the stage yielded a frame that it was not given
        station = self.stations.get(frame.stream)
        assert slot is not None
        if station is None or not station.holds(slot):
            return
        if isinstance(result, Held):
            station.keep(slot, self._clock_ns())
            self.kept.add(key)
            self._tell_home(station)  # capture is to look: it may send another frame
            return
        if was_kept:
            station.let_go(slot, self._clock_ns())
        if isinstance(result, Ended):
            age_ns = self._clock_ns() - frame.captured_ns if result.age_ns is None else result.age_ns
            self._end(station, frame, at.OUTCOMES.index(result.outcome), age_ns)
        elif self._is_last:
            raise TypeError(f"the last stage must end each frame, but passed on {frame}")
        else:
            header = encode_frame(frame, station.pool.id)
            self._trace.passed(frame)
            try:
                station.pass_on(slot, header)
            except ValueError as error:
                log.warning("%s #%d is lost: %s", frame.stream, frame.seq, error)
                self._end(station, frame, LOST, self._clock_ns() - frame.captured_ns)
            else:
                self._onward[frame.stream].send(header)

    def _end(self, station: Station, frame: Frame, outcome: int, age_ns: int) -> None:
        assert frame.slot is not None
        self._trace.ended(frame, at.OUTCOMES[outcome], age_ns)
        station.end(frame.slot, outcome, max(0, age_ns), len(frame.faces))
        if station.is_awaited:
            self._tell_home(station)

    def _home(self, station: Station, slot: int) -> None:
        station.send_home(slot)
        if station.is_awaited:
            self._tell_home(station)

    def _tell_home(self, station: Station) -> None:
        self._sent_home.add(station.stream)
        if self._clock_ns() - self._sent_home_ns > _HELD_NS:
            self.send_home()

    def send_home(self) -> None:
        """Tell the captures of the frames that have ended.

        Each message wakes two threads of ZeroMQ and the receiver, which costs more than all the rest of a frame's way.
        """
        for stream in self._sent_home:
            self._homes[stream].send(Return(stream))
        self._sent_home.clear()
        self._sent_home_ns = self._clock_ns()

    def ended(self) -> list[str]:
        """The streams that have ended and whose frames have all passed: tell the stage, then `let_go` of them.

        Looked for ten times a second, not between one frame and the next.
        """
        now_ns = self._clock_ns()
        if now_ns - self._asked_ns < _ENDED_NS:
            return []
        self._asked_ns = now_ns
        return [stream for stream, station in self.stations.items() if station.over]

    def let_go(self, streams: list[str]) -> None:
        """Forget streams that have ended, when the stage knows it. The last stage says so to their captures."""
        gone = [self.stations.pop(stream) for stream in streams]
        self.kept = {(stream, seq) for stream, seq in self.kept if stream not in streams}
        if self._is_last:
            for station in gone:
                station.closed()
                self._sent_home.add(station.stream)
        self.send_home()
        for station in gone:
            self._homes.pop(station.stream).close()
            self._onward.pop(station.stream, None)
            station.pool.close()
            self.recordings.pop(station.stream, None)
            if station.stream in self._later:
                self._open(station.stream, self._later.pop(station.stream))
                self._looked_ns = 0

    def close(self) -> None:
        """Tell what is to be told, and let go of all."""
        self.send_home()
        for link in [*self._homes.values(), *self._outboxes.values()]:
            link.close()
        for station in self.stations.values():
            station.pool.close()
