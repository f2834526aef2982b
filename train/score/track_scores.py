"""Tracks against the truth: whether each person has one number, by IDF1 and HOTA, and how often persons are counted.

IDF1 (Ristani et al., "Performance measures and a data set for multi-target, multi-camera tracking", 2016), HOTA (Luiten
et al., 2021) and identity switches are TrackEval's, the code that came with HOTA.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from msgspec import Struct

from capture.film_truth import Seen
from configs.errors import InputError
from transport.frame import Box, Face, iou

if TYPE_CHECKING:
    from trackeval.metrics import CLEAR, HOTA, Identity

MATCH_IOU = 0.5  # of a box and the face that it is on; TrackEval's own for IDF1 and switches
COUNTED_SHARE = 0.5  # of a face must be seen: of others a box is neither asked for nor held against anybody
PROMISED_MS = 2000.0  # who is hidden for longer may have another number when he is back
EDGE_MS = 100.0  # half of a face is left some pictures earlier or later
PASSING = 5  # pictures in which a number is on somebody else's face, who is passed by, do not count


class Picture(NamedTuple):
    """One picture of a scene: its time, its true faces, and those that were found, with their numbers."""

    at_ms: float
    truth: Sequence[Seen]
    found: Sequence[Face]


class TrackScores(Struct, frozen=True, kw_only=True):
    """How well persons keep their numbers.

    `persons`: stays in the pictures; who was hidden for more than 2 s is counted anew. `found`: of these have a number.
    `idf1`, `hota`, its parts `det_a` and `ass_a`: 0 to 1. `recall`: of the faces that can be seen.
    `switches`: a person's box has another number than his last one. `fragmentations`: a person who can be seen all the
    while has no box for some pictures. `double_counts`: numbers of persons beyond the first, and `double_share` to all
    persons. `shared`: numbers that were given to several persons. `false_persons`: numbers that were on nobody.
    """

    pictures: int
    persons: int
    found: int
    idf1: float
    hota: float
    det_a: float
    ass_a: float
    recall: float
    switches: int
    fragmentations: int
    double_counts: int
    double_share: float
    shared: int
    false_persons: int


def score_tracks(scenes: Iterable[Sequence[Picture]]) -> TrackScores:
    """Score the pictures of scenes, each in order; persons and numbers of two scenes are never the same."""
    data = Associations()
    for scene in scenes:
        data.add(scene)
    return data.scores()


class Associations:
    """What TrackEval asks for: in each picture true persons, numbers, and how much their boxes overlap."""

    def __init__(self) -> None:
        self._persons: dict[tuple[int, int, int], int] = {}  # of scene, person and stay
        self._numbers: dict[tuple[int, int], int] = {}  # of scene and track
        self._pictures: list[tuple[list[int], list[int], np.ndarray]] = []
        self._pictures_of: defaultdict[int, Counter[int]] = defaultdict(Counter)  # of a person, with each number
        self._on_somebody: set[int] = set()
        self._gaps = 0
        self._scenes = 0

    def add(self, scene: Sequence[Picture]) -> None:
        """Take in one scene."""
        scene_number, self._scenes = self._scenes, self._scenes + 1
        stays = stays_of(scene)
        missed: dict[int, bool] = {}  # of persons who can be seen and had a box: whether they have none now
        for index, picture in enumerate(scene):
            found = [face for face in picture.found if face.track is not None]
            pairs = matched([seen.box for seen in picture.truth], [face.box for face in found])
            numbers = [self._number(scene_number, face) for face in found]
            self._on_somebody |= {numbers[place] for place in pairs.values()}
            counted = [i for i, seen in enumerate(picture.truth) if seen.visible >= COUNTED_SHARE]
            excused = {place for i, place in pairs.items() if i not in counted}
            kept = [place for place in range(len(found)) if place not in excused]
            persons = []
            for i in counted:
                person = self._person(scene_number, picture.truth[i], stays[index, picture.truth[i].person])
                persons.append(person)
                if i in pairs:
                    self._pictures_of[person][numbers[pairs[i]]] += 1
                    self._gaps += missed.get(person, False)
                    missed[person] = False
                elif person in missed:
                    missed[person] = True
            for person in missed.keys() - set(persons):
                del missed[person]  # hidden: that the box is interrupted is right
            overlaps = [[iou(picture.truth[i].box, found[place].box) for place in kept] for i in counted]
            similarity = np.array(overlaps, np.float64).reshape(len(counted), len(kept))
            self._pictures.append((persons, [numbers[place] for place in kept], similarity))

    def scores(self) -> TrackScores:
        """The scores of all that was taken in."""
        hota, identity, clear = metrics()
        data = self._data()
        of_hota, of_identity, of_clear = (metric.eval_sequence(data) for metric in (hota, identity, clear))
        persons = len(self._persons)
        owners = Counter(number for numbers in self._own_numbers() for number in numbers)
        extra = sum(max(0, len(numbers) - 1) for numbers in self._own_numbers())
        return TrackScores(
            pictures=len(self._pictures),
            persons=persons,
            found=len(self._pictures_of),
            idf1=float(of_identity["IDF1"]),
            hota=float(np.mean(of_hota["HOTA"])),
            det_a=float(np.mean(of_hota["DetA"])),
            ass_a=float(np.mean(of_hota["AssA"])),
            recall=float(of_clear["CLR_Re"]),
            switches=int(of_clear["IDSW"]),
            fragmentations=self._gaps,
            double_counts=extra,
            double_share=extra / persons if persons else 0.0,
            shared=sum(count > 1 for count in owners.values()),
            false_persons=len(set(self._numbers.values()) - self._on_somebody),
        )

    def _own_numbers(self) -> list[set[int]]:
        """The numbers of each person, without those of others, whose boxes are on the face while they pass."""
        longest: Counter[int] = Counter()
        for numbers in self._pictures_of.values():
            longest |= numbers
        return [
            {number for number, pictures in numbers.items() if pictures == longest[number] or pictures >= PASSING}
            for numbers in self._pictures_of.values()
        ]

    def _person(self, scene: int, seen: Seen, stay: int) -> int:
        return self._persons.setdefault((scene, seen.person, stay), len(self._persons))

    def _number(self, scene: int, face: Face) -> int:
        assert face.track is not None
        return self._numbers.setdefault((scene, face.track), len(self._numbers))

    def _data(self) -> dict[str, Any]:
        """As TrackEval's metrics take it."""
        return {
            "gt_ids": [np.array(persons, np.int64) for persons, _, _ in self._pictures],
            "tracker_ids": [np.array(numbers, np.int64) for _, numbers, _ in self._pictures],
            "similarity_scores": [similarity for _, _, similarity in self._pictures],
            "num_gt_ids": len(self._persons),
            "num_tracker_ids": len(self._numbers),
            "num_gt_dets": sum(len(persons) for persons, _, _ in self._pictures),
            "num_tracker_dets": sum(len(numbers) for _, numbers, _ in self._pictures),
            "num_timesteps": len(self._pictures),
        }


def stays_of(scene: Sequence[Picture]) -> dict[tuple[int, int], int]:
    """In which of his stays a person is, by picture and person: after more than 2 s another one may begin.

    It does where he then has a number that he had not; who is known again for longer than promised is the same.
    """
    stays: dict[tuple[int, int], int] = {}
    stay: defaultdict[int, int] = defaultdict(int)
    seen_ms: dict[int, float] = {}
    had: defaultdict[int, set[int | None]] = defaultdict(set)
    undecided: dict[int, list[int]] = {}  # pictures of a person who is back and has no number yet
    for index, picture in enumerate(scene):
        pairs = matched([seen.box for seen in picture.truth], [face.box for face in picture.found])
        for i, seen in enumerate(picture.truth):
            if seen.visible < COUNTED_SHARE:
                continue
            who, since_ms = seen.person, picture.at_ms - seen_ms.get(seen.person, picture.at_ms)
            seen_ms[who] = picture.at_ms
            if since_ms > PROMISED_MS + EDGE_MS:
                stay[who] += 1
                undecided[who] = []
            stays[index, who] = stay[who]
            if who in undecided:
                undecided[who].append(index)
            if i in pairs:
                number = picture.found[pairs[i]].track
                if who in undecided:
                    if number in had[who]:
                        stay[who] -= 1
                        stays |= {(earlier, who): stay[who] for earlier in undecided[who]}
                    else:
                        had[who] = set()
                    del undecided[who]
                had[who].add(number)
    return stays


def metrics() -> tuple[HOTA, Identity, CLEAR]:
    """TrackEval's, quiet."""
    try:
        from trackeval.metrics import CLEAR, HOTA, Identity
    except ImportError:
        raise InputError("tracks are scored by TrackEval: pip install -e '.[train]'") from None
    quiet = {"THRESHOLD": MATCH_IOU, "PRINT_CONFIG": False}
    return HOTA(), Identity(quiet), CLEAR(quiet)


def matched(truth: Sequence[Box], found: Sequence[Box]) -> dict[int, int]:
    """For each true face the box that is on it, the best overlaps first; each box is on one face.

    >>> matched([Box(0, 0, 9, 9), Box(50, 0, 9, 9)], [Box(90, 0, 9, 9), Box(1, 0, 9, 9)])
    {0: 1}
    """
    overlaps = [(iou(face, box), i, j) for i, face in enumerate(truth) for j, box in enumerate(found)]
    taken: dict[int, int] = {}
    for overlap, i, j in sorted(overlaps, reverse=True):
        if overlap >= MATCH_IOU and i not in taken and j not in taken.values():
            taken[i] = j
    return taken
