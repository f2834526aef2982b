"""Faces that cannot be seen for a moment: who is back within about two seconds keeps the number.

What is remembered is where a face was, where it went, and its look (inference/look.py). After that time all of it is
forgotten, and who comes then is somebody new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inference.course import Course
from inference.look import Look, Looks
from transport.frame import Box

LONGEST_MS = 2900.0  # 2 s hidden; a face is lost before it is covered, and found again after it is not
MOST = 16  # faces of a stream are remembered; of more the oldest are forgotten
LIKE = 0.68  # least similarity of a face where one is expected to come back
FAR_LIKE = 0.08  # and so much more at the edge of where it may be (Course.miss 1),
FARTHER_LIKE = 0.2  # and beyond: who has just begun to walk, or was seen too short to know how fast,
FARTHEST = 2.0  # up to here,
SOON_MS = 300.0  # and not sooner than this after it was lost: nobody is so fast
COMES_IN_LIKE = 0.15  # and so much more at the edge of the picture: most who are seen there come in,
EDGE = 0.2  # heights of a face from it,
CROWDED_LIKE = 0.05  # and so much more where another one who is hidden may come back, too
NEAR = 1.5  # but not of who was hidden at most so many heights from there
UNCLEAR, NEARLY = 0.25, 0.1  # so little less may be the same person, still covered in part
UNCLEAR_MS, NEARLY_MS = 250.0, 600.0  # for so long a face waits then for its number
EXPECTED = 0.3  # of Course.miss: who appears so near to where one is expected waits as well
LARGER = 1.8  # or smaller by this a face may be when it is back
ANOTHER = -1.0


class Hidden(NamedTuple):
    """A face that was lost at a time, ms. It is `expected` if it was sure to be one and has not left the picture."""

    id: int
    looks: Looks
    course: Course
    since_ms: float
    expected: bool


class Back(NamedTuple):
    """What a new face is: the hidden one `known`, or somebody new; where that is unclear it waits so long, ms."""

    known: Hidden | None = None
    waits_ms: float = 0.0


class HiddenFaces:
    """The faces of one stream that were lost a short while ago."""

    def __init__(self) -> None:
        self._faces: list[Hidden] = []

    def __len__(self) -> int:
        return len(self._faces)

    @property
    def expected(self) -> bool:
        """Whether somebody may come back at any moment."""
        return any(face.expected for face in self._faces)

    def add(self, face: Hidden) -> None:
        """Remember a face that was lost."""
        self._faces = [*self._faces, face][-MOST:]

    def clear(self) -> None:
        """Another scene has begun: nobody of the last one comes back."""
        self._faces = []

    def forget(self, now_ms: float) -> None:
        """Forget those who have been hidden for too long, or until a time that is yet to come: a film began anew."""
        self._faces = [face for face in self._faces if 0 <= now_ms - face.since_ms <= LONGEST_MS]

    def returned(self, now_ms: float, boxes: Sequence[Box], looks: Sequence[Look], width: int) -> list[Back]:
        """For each new face who it was before it was hidden, in pictures so many px wide; it is hidden no more."""
        self.forget(now_ms)
        fits = [
            (fit_of(face, now_ms, box, look, width, self._is_crowded(now_ms, box)), -place, face.id, face)
            for face in self._faces
            for place, (box, look) in enumerate(zip(boxes, looks, strict=True))
        ]
        back = [Back()] * len(boxes)
        taken: set[int] = set()
        for fit, place, number, face in sorted(fits, key=lambda one: one[:3], reverse=True):
            if any(back[-place]) or number in taken or fit <= -UNCLEAR:
                continue
            if fit > 0:
                back[-place] = Back(face)
                taken.add(number)
            elif face.course.miss(now_ms, boxes[-place]) <= 1:
                back[-place] = Back(waits_ms=NEARLY_MS if fit > -NEARLY else UNCLEAR_MS)
        self._faces = [face for face in self._faces if face.id not in taken]
        return back

    def _is_crowded(self, now_ms: float, box: Box) -> bool:
        """Whether several of the hidden may be there: half of a face is easily like another one."""
        return sum(face.course.miss(now_ms, box) <= 1 for face in self._faces) > 1


def fit_of(face: Hidden, now_ms: float, box: Box, look: Look, width: int, crowded: bool) -> float:
    """How well a new face fits one that is hidden; 0 and less: it is another one."""
    grown, miss = box.height / face.course.height, face.course.miss(now_ms, box)
    if miss > (FARTHEST if now_ms - face.since_ms >= SOON_MS else 1.0):
        return ANOTHER
    least = -UNCLEAR + 0.01 if miss <= EXPECTED else ANOTHER
    if not 1 / LARGER <= grown <= LARGER:  # it may be something on the face, or a part of it
        return least
    needed = LIKE + FAR_LIKE * miss + FARTHER_LIKE * max(0.0, miss - 1)
    if min(box.x, width - box.x - box.width) < EDGE * box.height and face.course.apart(box) > NEAR:
        needed += COMES_IN_LIKE
    if crowded:
        needed += CROWDED_LIKE
    return max(face.looks.similarity(look) - needed, least)
