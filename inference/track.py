"""Faces followed from frame to frame: who is who, and where a face has moved to since it was last searched for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from inference.course import Course
from inference.hidden import Back, Hidden, HiddenFaces
from inference.look import Looks, look_at
from inference.optical_flow import flow
from inference.waiting import Waiting, waiting
from transport.frame import Box, iou

LEAST_SIMILARITY = 0.5  # correlation with the face as it was found; what is below is something else by now
SURE_SIMILARITY = 0.7  # the same where its points cannot be followed; a mask put on in the demo leaves .80
MATCH_IOU = 0.3  # of a box that was found with the track that it belongs to; both move between two searches
UNLIKE = 0.45  # similarity to the face that is followed there below which a box is of another one,
FARTHER_UNLIKE = 0.3  # and so much more at the edge of where that face may be (Course.miss 1)
COVERED = 0.6  # the same where a search has missed the face; of those that could be seen 1 in 70 was below
CUT_SIZE, CUT_CHANGE, CUT_SHARE = (32, 24), 15, 0.4  # so many cells of a picture change by more grey levels at a cut
LEAVES = 0.25  # heights of a face from the edge of the picture, where it may leave it
BESIDE_IOU = 0.02  # of another face with what is around a face
PATCH_PX = 20
LEAST_TRUST = 0.3  # in where a search saw a known face, against where it was followed to: Haar's boxes jump
LOOK_EVERY_MS = 500.0  # a look of a face is kept; one takes 60 us
UNLIKE_MS = 250.0  # for so long it waits for its number: it may be the same one, with a hand before the face
MOST_MISSES = 12  # searches in a row that may miss a face that was found often and is followed well


@dataclass(slots=True)
class Track:
    """One face on its way through the pictures of a stream. `box` is in px of the grey pictures that are followed.

    `hits` counts the searches that found it, `misses` those in a row since then that did not. `looks` are those of
    searches that found it, the newest of `looked_ms`; `is_back` says that it was hidden in between.
    """

    id: int
    box: Box
    patch: np.ndarray
    hits: int = 1
    misses: int = 0
    is_back: bool = False
    looked_ms: float = -math.inf
    course: Course = field(default_factory=Course)
    looks: Looks = field(default_factory=Looks)

    @property
    def believed(self) -> bool:
        """Whether searches may go on missing it: two for each time that it was found again, and 12 at most.

        Found once and then missed it goes at once: kept for two searches more, false boxes on pan_cc0_mixed were
        three times as many. Haar misses most masked faces, but a face that it has found often stays while it is seen.
        """
        return self.misses <= min(2 * (self.hits - 1), MOST_MISSES)


class Tracker:
    """The faces of one stream. Pictures are grey, (H, W) uint8, all of the same size.

    Faces move as their points do (inference/optical_flow.py). One that no longer looks like itself is dropped, and one
    whose points disagree unless it looks like itself where it was: no box stays behind on the background. Who is
    dropped may be hidden, and gets the number back if he is found again soon (inference/hidden.py).
    """

    def __init__(self, first_id: int = 0) -> None:
        self.tracks: list[Track] = []
        self.hidden = HiddenFaces()
        self._before: np.ndarray | None = None
        self._colours: np.ndarray | None = None
        self._now_ms = 0.0
        self._next_id = first_id
        self._waiting: list[Waiting] = []

    def follow(self, grey: np.ndarray, colours: np.ndarray | None = None, now_ms: float = 0.0) -> bool:
        """Move all tracks to the next picture and drop those that are lost. Returns True if one was lost.

        Its face may be somewhere else, or another scene has begun. With the picture's colours, (H, W, 3) uint8 BGR, and
        its time a face that is lost is remembered for a while: it may be hidden.
        """
        known = self.tracks
        self._colours, self._now_ms = colours, now_ms
        if self._before is not None and self._before.shape != grey.shape:
            self.tracks = []
        before, self._before = self._before, grey
        if before is None or not self.tracks:
            return len(known) > 0
        boxes = flow(before, grey, [track.box for track in self.tracks])
        kept = [box or stationary(track, grey) for track, box in zip(self.tracks, boxes, strict=True)]
        followed = [(track, box) for track, box in zip(self.tracks, kept, strict=True) if box is not None]
        self.tracks = [
            track
            for track, box in followed
            if inside(box, grey) and similarity(track.patch, patch_of(grey, box)) >= LEAST_SIMILARITY
        ]
        for track, box in followed:
            track.box = box
        for track in self.tracks:
            track.course.add(now_ms, track.box)
        self._hide(known)
        if not self.tracks and is_cut(before, grey):
            self.hidden.clear()
        return len(self.tracks) < len(known)

    def found(self, boxes: Sequence[Box], extra: bool = False, only_back: bool = False) -> None:
        """Bring in what a search of the last picture has found: known faces are corrected, others are new or back.

        An extra search, between the regular ones, counts for no known face and against none: it sees nearly the
        picture that the last one saw, and would find the same false faces again. With `only_back` nobody is new: it
        only brings back who was hidden.
        """
        assert self._before is not None, "follow() comes first"
        missed, new, unlike = list(self.tracks), [], []
        for box in boxes:
            known = max(missed, key=lambda track: iou(track.box, box), default=None)
            if known is None or iou(known.box, box) < MATCH_IOU:
                new.append(box)
                continue
            moved = between(known.box, box, max(1 / (known.hits + (not extra)), LEAST_TRUST))
            patch = patch_of(self._before, moved)
            if similarity(known.patch, patch) < SURE_SIMILARITY and not self._is_like(known, box):
                unlike.append(box)  # somebody passes in front of the one who is followed, or a hand is before the face
                continue
            missed.remove(known)
            known.box, known.patch = moved, patch
            known.course.add(self._now_ms, moved, found=True)
            if not extra:
                known.hits, known.misses = known.hits + 1, 0
                self._remember(known, box, boxes)
        taken = [track.box for track in self.tracks if all(track is not one for one in missed)]
        new, unlike = ([box for box in some if not same_face(box, taken)] for some in (new, unlike))
        self._leave_covered(missed)
        self._begin(new, unlike, only_back)
        if not extra:
            for track in missed:
                track.misses += 1
        known_before = self.tracks
        self.tracks = non_maximum_suppressed([track for track in self.tracks if track.believed])
        self._hide(known_before)

    def _is_like(self, track: Track, box: Box) -> bool:
        """Whether a box may be of a face that is followed; the farther it is from there, the more it must look so."""
        if self._colours is None:
            return True
        needed = UNLIKE + FARTHER_UNLIKE * track.course.miss(self._now_ms, box)
        return track.looks.sure_similarity(look_at(self._colours, box)) >= needed

    def _leave_covered(self, missed: list[Track]) -> None:
        """Hide those of the missed tracks whose boxes are on something else by now, which is in front of them.

        Their points went over to it. Else the number is still there, and nobody's, when the one who has it comes back.
        """
        covered = [track for track in missed if self._is_covered(track)]
        for track in covered:
            track.looks.doubt_newest()
            missed.remove(track)
            self.tracks.remove(track)
        self._hide(covered)

    def _is_covered(self, track: Track) -> bool:
        """Whether something else is in the place of a face that a search has missed."""
        if self._colours is None or not track.looks:
            return False
        return track.looks.sure_similarity(look_at(self._colours, track.box)) < COVERED

    def _remember(self, track: Track, box: Box, boxes: Sequence[Box]) -> None:
        """Keep a look of a face that was found, now and then and where it is alone."""
        if self._colours is None or self._now_ms - track.looked_ms < (LOOK_EVERY_MS if track.looks.are_some else 0.0):
            return
        others = [*boxes, *(other.box for other in self.tracks if other is not track)]
        if is_alone(track.box, box, others):
            track.looks.add(look_at(self._colours, box))
            track.looked_ms = self._now_ms

    def _begin(self, new: Sequence[Box], unlike: Sequence[Box], only_back: bool) -> None:
        """Begin tracks of faces that were not followed; who was hidden a moment ago gets the number back.

        Where that is unclear a face gets none for a moment: it may still be covered in part. So does one in the place
        of a face that is followed and looks otherwise.
        """
        assert self._before is not None
        boxes = [*new, *unlike]
        looks = [] if self._colours is None else [look_at(self._colours, box) for box in boxes]
        back = (
            self.hidden.returned(self._now_ms, boxes, looks, self._before.shape[1]) if looks else [Back()] * len(boxes)
        )
        still_waiting: list[Waiting] = []
        for place, (box, who) in enumerate(zip(boxes, back, strict=True)):
            if who.known is None:
                waits_ms = max(who.waits_ms, UNLIKE_MS if place >= len(new) else 0.0)
                waits = waiting(self._waiting, box, self._now_ms, waits_ms)
                if waits.waits_ms:
                    still_waiting.append(waits)
                if only_back or not waits.is_over(self._now_ms):
                    continue
            track = Track(self._next_id, box, patch_of(self._before, box))
            if who.known is not None:
                track.id, track.looks, track.course = who.known[:3]
                track.is_back = True
            else:
                self._next_id += 1
            if looks:
                track.looks.add(looks[place])
                track.course.add(self._now_ms, box, found=True)
            self.tracks.append(track)
        self._waiting = still_waiting

    def _hide(self, known: Iterable[Track]) -> None:
        """Remember those of the tracks that are followed no more."""
        assert self._before is not None
        left = {track.id for track in self.tracks}
        for track in known:
            if track.id not in left and track.looks:
                expected = (track.hits > 1 or track.is_back) and wholly_inside(track.box, self._before)
                self.hidden.add(Hidden(track.id, track.looks, track.course, self._now_ms, expected))

    def carried(self, then: np.ndarray, boxes: Sequence[Box]) -> list[Box]:
        """Boxes found in an earlier picture, moved to where they are in the last one; lost ones are left out."""
        if not boxes or self._before is None or then.shape != self._before.shape:
            return []
        if then is self._before:
            return list(boxes)
        return [box for box in flow(then, self._before, boxes) if box is not None]


def is_cut(before: np.ndarray, grey: np.ndarray) -> bool:
    """Whether another scene begins with a picture, (H, W) uint8: seen from afar much of it differs from the one before.

    Light that changes everywhere alike is taken off.
    """
    one, other = (cv2.resize(picture, CUT_SIZE, interpolation=cv2.INTER_AREA).astype(int) for picture in (before, grey))
    change = other - one
    return float((np.abs(change - np.median(change)) > CUT_CHANGE).mean()) > CUT_SHARE


def is_alone(box: Box, own: Box, others: Sequence[Box]) -> bool:
    """Whether no other face is beside a face or in front of it, where its look would show that one."""
    around = Box(box.x + (box.width - box.height) / 2, box.y, box.height, box.height)
    return all(other is own or iou(around, other) < BESIDE_IOU for other in others)


def same_face(box: Box, others: Sequence[Box]) -> bool:
    """Whether a box lies on the face that one of the others is on."""
    return any(iou(box, other) >= MATCH_IOU for other in others)


def stationary(track: Track, grey: np.ndarray) -> Box | None:
    """Its box where it was, if the face still looks like itself there: its points disagree when a mask is put on."""
    return track.box if similarity(track.patch, patch_of(grey, track.box)) >= SURE_SIMILARITY else None


def non_maximum_suppressed(tracks: Sequence[Track]) -> list[Track]:
    """The tracks without those that lie on the face of another one: one just found, or found more often."""
    kept: list[Track] = []
    for track in sorted(tracks, key=lambda track: (track.misses > 0, -track.hits)):
        if all(iou(track.box, other.box) < MATCH_IOU for other in kept):
            kept.append(track)
    return sorted(kept, key=lambda track: track.id)


def between(one: Box, other: Box, share: float) -> Box:
    """The box that lies that share of the way from one to the other."""
    corner = (one.x + share * (other.x - one.x), one.y + share * (other.y - one.y))
    return Box(*corner, one.width + share * (other.width - one.width), one.height + share * (other.height - one.height))


def inside(box: Box, grey: np.ndarray) -> bool:
    """Whether the middle of the box is in the picture."""
    return 0 <= box.x + box.width / 2 < grey.shape[1] and 0 <= box.y + box.height / 2 < grey.shape[0]


def wholly_inside(box: Box, grey: np.ndarray) -> bool:
    """Whether a face is so far from the edges that it did not leave the picture."""
    room = LEAVES * box.height
    return room <= box.x <= grey.shape[1] - box.width - room and box.y + box.height < grey.shape[0] - room


def patch_of(grey: np.ndarray, box: Box) -> np.ndarray:
    """A small picture of the face (20, 20) float32 without mean and with deviation 1, to know it again by."""
    scale_x, scale_y = box.width / PATCH_PX, box.height / PATCH_PX
    matrix = np.array([[scale_x, 0, box.x + scale_x / 2], [0, scale_y, box.y + scale_y / 2]])
    patch = cv2.warpAffine(
        grey,
        matrix,
        (PATCH_PX, PATCH_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    patch -= np.add.reduce(patch, axis=None) / patch.size  # 1.2 us, numpy's mean 4.4
    return patch / max(math.sqrt(np.vdot(patch, patch) / patch.size), 1.0)  # 0.7 us, numpy's std 9.6


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two patches, 1 for the same."""
    return float(np.vdot(one, other)) / one.size
