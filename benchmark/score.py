"""Boxes and labels of the pipeline against the truth, so that what is faster because it sees less is found out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from msgspec import Struct

from benchmark.clip import Clip
from capture.film_truth import Seen, inside_share
from transport.frame import Box, iou

FOUND_IOU = 0.4  # of a face and the box that has found it, as in train/score/sightings.py
BACKGROUND_IOU = 0.1  # a box that overlaps no face by more is on the background
COUNTED_SHARE = 0.8  # of a face must be in the picture: those that are just coming or going are nobody's mistake
ARRIVED_SHARE = 0.97  # from here on the time runs until a new face is boxed: Haar knows none that is cut off
LARGE_PX, LARGE_FOR_MS = (
    40,
    1000.0,
)  # the shorter side of a face, and how long it is there: such persons are to be found
SETTLED_MS = 1000.0  # after a mask is put on or taken off, the time in which the label may be the old one


class SaidFace(Struct):
    """A face as the JSON lines tell it; what is not needed here is passed over."""

    box: Box
    label: str | None
    track: int | None


class SaidFrame(Struct):
    """A line of the JSON lines."""

    stream: str
    seq: int
    age_ms: float
    faces: list[SaidFace]


class Scores(Struct, frozen=True, kw_only=True):
    """Of all faces of the truth that are in the pictures shown.

    `persons` are those who are there with a face of 40 px or more for a second, in one showing of the film, and
    `persons_found` those of them who had a box in at least one picture.
    `recall`: share of faces with a box; `iou`: mean overlap of those; `false_boxes_per_frame`: boxes on the
    background; `label_accuracy`: share of the boxed faces whose label is right, `unsure` and none yet counted as
    wrong; `label_accuracy_settled` leaves out the second after a face comes or its mask changes; `wrong_person`: faces
    whose track was another person's before, in the same showing of the film: where it begins anew another may stand
    just where the last one stood. Delays are from the picture in which a face or a mask is new to the one in which
    that is shown, ms: the median and the longest; None where nothing came or changed.
    """

    faces: int
    persons: int
    persons_found: int
    recall: float
    iou: float
    false_boxes_per_frame: float
    wrong_person: int
    label_accuracy: float
    label_accuracy_settled: float
    box_delay_ms: tuple[float, float] | None
    first_label_ms: tuple[float, float] | None
    changed_label_ms: tuple[float, float] | None


def read_lines(content: bytes) -> list[SaidFrame]:
    """All whole lines; what comes after the last end of line is still being written."""
    decoder = msgspec.json.Decoder(SaidFrame)
    return [decoder.decode(line) for line in content.split(b"\n")[:-1]]


def score(said: Iterable[SaidFrame], clip: Clip) -> Scores | None:
    """Score one stream's frames, in order, against the clip's truth; None if there is none.

    A looped film goes on numbering: picture `seq` is picture `seq` modulo the length.
    """
    if clip.truth is None:
        return None
    times = PersonTimes(1000 / clip.fps)
    overlaps, false_boxes, frames = [], 0, 0
    for frame in said:
        frames += 1
        lap, index = divmod(frame.seq, clip.pictures)
        truth = clip.truth[index]
        pairs = matched(truth, frame.faces)
        for seen, face in pairs:
            inside = inside_share(seen.box, clip.size)
            if inside >= COUNTED_SHARE:
                overlaps.append(iou(seen.box, face.box) if face is not None else 0.0)
            times.see(seen, face, lap, frame.seq, inside)
        false_boxes += sum(all(iou(face.box, seen.box) < BACKGROUND_IOU for seen in truth) for face in frame.faces)
    found = [overlap for overlap in overlaps if overlap > 0]
    if not overlaps:
        return None
    return Scores(
        faces=len(overlaps),
        persons=len(times.large),
        persons_found=sum(times.boxed(who) for who in times.large),
        recall=len(found) / len(overlaps),
        iou=float(np.mean(found)) if found else 0.0,
        false_boxes_per_frame=false_boxes / frames,
        wrong_person=times.wrong_person,
        label_accuracy=share(times.right),
        label_accuracy_settled=share(times.right_settled),
        box_delay_ms=median_and_longest(times.box_delays),
        first_label_ms=median_and_longest(times.first_label_delays),
        changed_label_ms=median_and_longest(times.changed_label_delays),
    )


def matched(truth: Sequence[Seen], faces: Sequence[SaidFace]) -> list[tuple[Seen, SaidFace | None]]:
    """Each face of the truth with its box, the best overlaps first; each box belongs to one face at most."""
    overlaps = [(iou(seen.box, face.box), i, j) for i, seen in enumerate(truth) for j, face in enumerate(faces)]
    taken: dict[int, int] = {}
    for overlap, i, j in sorted(overlaps, reverse=True):
        if overlap >= FOUND_IOU and i not in taken and j not in taken.values():
            taken[i] = j
    return [(seen, faces[taken[i]] if i in taken else None) for i, seen in enumerate(truth)]


class Stay(Struct):
    """One person's stay in the pictures, as far as it was seen: since when what is true, and what was shown of it."""

    came: int
    changed: int
    label: str
    boxed: bool = False
    labelled: bool = False
    shown_since_change: bool = True


class PersonTimes:
    """Follows the persons of the truth over time: when they come and change, and when that is shown."""

    def __init__(self, step_ms: float) -> None:
        self._step_ms = step_ms
        self._stays: dict[tuple[int, int], Stay] = {}
        self._owner: dict[int, tuple[int, int]] = {}
        self._large_ms: dict[tuple[int, int], float] = {}
        self._boxed: set[tuple[int, int]] = set()
        self.right: list[bool] = []
        self.right_settled: list[bool] = []
        self.box_delays: list[float] = []
        self.first_label_delays: list[float] = []
        self.changed_label_delays: list[float] = []
        self.wrong_person = 0

    def see(self, seen: Seen, face: SaidFace | None, lap: int, seq: int, inside: float) -> None:
        """Take in one person of one picture, and which share of its face is in the picture."""
        who = (lap, seen.person)
        if min(seen.box.width, seen.box.height) >= LARGE_PX and inside >= COUNTED_SHARE:
            self._large_ms[who] = self._large_ms.get(who, 0.0) + self._step_ms
        if face is not None:
            self._boxed.add(who)
        if who not in self._stays:
            if inside < ARRIVED_SHARE:
                return
            self._stays[who] = Stay(seq, seq, seen.label)
        stay = self._stays[who]
        if seen.label != stay.label:
            stay.label, stay.changed, stay.shown_since_change = seen.label, seq, False
        if face is None:
            return
        if face.track is not None:
            before = self._owner.get(face.track, who)
            self.wrong_person += before[0] == lap and before != who
            self._owner[face.track] = who
        if not stay.boxed:
            stay.boxed = True
            self.box_delays.append((seq - stay.came) * self._step_ms)
        if face.label is not None and not stay.labelled:
            stay.labelled = True
            self.first_label_delays.append((seq - stay.came) * self._step_ms)
        right = face.label == seen.label
        if right and not stay.shown_since_change:
            stay.shown_since_change = True
            self.changed_label_delays.append((seq - stay.changed) * self._step_ms)
        if inside >= COUNTED_SHARE:
            self.right.append(right)
            if (seq - max(stay.came, stay.changed)) * self._step_ms >= SETTLED_MS:
                self.right_settled.append(right)

    @property
    def large(self) -> list[tuple[int, int]]:
        """The persons, (showing, number), who were there large enough for long enough."""
        return [who for who, ms in self._large_ms.items() if ms >= LARGE_FOR_MS]

    def boxed(self, who: tuple[int, int]) -> bool:
        """Whether that person had a box at least once."""
        return who in self._boxed


def share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else 0.0


def median_and_longest(delays_ms: Sequence[float]) -> tuple[float, float] | None:
    return (float(np.median(delays_ms)), max(delays_ms)) if delays_ms else None
