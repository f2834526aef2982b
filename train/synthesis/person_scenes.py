"""The scenes in which tracks are scored: persons cross, are hidden for a known time, leave and come back.

A face is hidden while less than half of it can be seen. Who is hidden by a pillar as wide as he walks in a second is so
for a second, because half of the face is left at both edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import cv2
import numpy as np

from train.synthesis.actors import Actor
from train.synthesis.person_scene import SIZE, Course, PersonScene, Role, Thing

HIDDEN_S = (0.5, 1.0, 2.0)
FACE_PX = (76.0, 120.0)  # heights of the faces
WALKS_PX_S = (60.0, 130.0)
OUTSIDE_PX = 110.0  # beyond the edge of the picture nothing is seen of a person
PILLAR_DEPTH, BOARD_DEPTH = 5.0, 6.0  # persons have less, and the nearer ones more than those behind
CARRIED_PX_S = 320.0  # how fast a board is carried by


class Cast:
    """The actors of one scene, in an order by chance; each plays once."""

    def __init__(self, actors: Sequence[Actor], seed: Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)
        self._waiting = [actors[place] for place in self.rng.permutation(len(actors))]

    def between(self, limits: tuple[float, float]) -> float:
        return float(self.rng.uniform(*limits))

    def role(self, course: Course, y: float | None = None, face_px: float | None = None) -> Role:
        """The next actor on its way."""
        face_px = self.between(FACE_PX) if face_px is None else face_px
        y = self.between((170, 250)) if y is None else y
        # each plays once; only where a scene has more roles than there are actors somebody comes again
        actor = self._waiting.pop(0)
        self._waiting.append(actor)
        return Role(actor, course, y, face_px, face_px / 100, self.between((0, 6)))

    def thing(self, course: Course, width: float, depth: float, top: float = 0.0) -> Thing:
        """A pillar or board of some colour, with some structure."""
        rng, size = self.rng, (max(8, round(width)), SIZE[1] - round(top))
        coarse = rng.normal(0, 14, (size[1] // 8 + 1, size[0] // 8 + 1, 1)).astype(np.float32)
        rough = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)[..., None]
        picture = np.clip(rng.uniform(40, 210, 3) + rough, 0, 255).astype(np.uint8)
        return Thing(picture, course, top, depth)


def scenes(actors: Sequence[Actor], rooms: Sequence[np.ndarray], seed: int, fps: float = 25.0) -> Iterator[PersonScene]:
    """All scenes of a seed, one of each kind."""
    kinds: list[tuple[str, Kind, float]] = [
        ("crossing", lambda cast: (crossing(cast, 1), []), 10.0),
        ("crossing, two pairs", lambda cast: (crossing(cast, 2), []), 13.0),
    ]
    for hidden_s in HIDDEN_S:
        kinds += [
            (f"walking behind a pillar, {hidden_s:g} s", partial(walking, hidden_s=hidden_s), 13.0),
            (f"waiting behind a pillar, {hidden_s:g} s", partial(waiting, hidden_s=hidden_s), 11.0),
            (f"a board passes, {hidden_s:g} s", partial(board, hidden_s=hidden_s), 11.0),
        ]
    kinds += [("leaving and coming back", leaving, 11.0), ("another one comes out", another, 10.0)]
    for number, (name, kind, seconds) in enumerate(kinds):
        cast = Cast(actors, (seed, number))
        room = rooms[int(cast.rng.integers(len(rooms)))]
        roles, things = kind(cast)
        yield PersonScene(name, room, tuple(roles), tuple(things), seconds, fps, seed=1000 * seed + number)


Kind = Callable[[Cast], tuple[list[Role], list[Thing]]]


def crossing(cast: Cast, pairs: int) -> list[Role]:
    """Persons who walk past each other; the nearer one hides the other for a while. One more stands somewhere."""
    roles = [standing(cast, cast.between((90, 550)))] if pairs == 1 else []
    for pair in range(pairs):
        y, begin = cast.between((180, 240)), 0.4 + 4.0 * pair
        for way in (1, -1):
            speed = cast.between(WALKS_PX_S)
            face_px = cast.between((100, 125)) if way > 0 else cast.between((74, 96))
            roles.append(cast.role(walk(way, begin, speed), y + cast.between((-18, 18)), face_px))
    return roles


def walking(cast: Cast, hidden_s: float) -> tuple[list[Role], list[Thing]]:
    """Two who walk behind a pillar, one each way; another one stands elsewhere."""
    speed, x = cast.between((70, 110)), cast.between((270, 370))
    width = speed * hidden_s
    roles = []
    for way, begin in ((1, cast.between((0, 0.6))), (-1, cast.between((0.8, 3.0)))):
        roles.append(cast.role(walk(way, begin, speed)))
    roles.append(standing(cast, 80.0 if x > 320 else 560.0))
    return roles, [cast.thing(((0, x),), width, PILLAR_DEPTH)]


def waiting(cast: Cast, hidden_s: float) -> tuple[list[Role], list[Thing]]:
    """One who stops behind a pillar and goes on, and one who turns round there; another one stands elsewhere."""
    x, roles = cast.between((270, 370)), []
    face_px = cast.between((76, 100))
    width = 0.95 * face_px
    for way, begin, turns in ((1, 0.2, False), (-1, 3.6, True)):
        speed = max(130.0, 1.3 * width / hidden_s)  # so that some of the time is left to stand
        wait_s = hidden_s - width / speed
        start = 320 - way * (320 + OUTSIDE_PX)
        there_s = begin + abs(x - start) / speed
        end = start if turns else 640 - start
        back_s = there_s + wait_s
        course = ((begin, start), (there_s, x), (back_s, x), (back_s + abs(end - x) / speed, end))
        roles.append(cast.role(course, face_px=cast.between((70, face_px))))
    roles.append(standing(cast, 80.0 if x > 320 else 560.0))
    return roles, [cast.thing(((0, x),), width, PILLAR_DEPTH)]


def board(cast: Cast, hidden_s: float) -> tuple[list[Role], list[Thing]]:
    """Two who stand; a board is carried in front of one, stops there, and is carried away; then before the other."""
    places = (cast.between((110, 220)), cast.between((400, 530)))
    roles = [standing(cast, x) for x in places]
    things = []
    for x, begin, role in zip(places, (1.2, 5.2), roles, strict=True):
        width = 1.25 * role.face_px
        wait_s = max(0.0, hidden_s - width / CARRIED_PX_S)
        way = 1 if cast.rng.random() < 0.5 else -1
        outside = 320 + way * (320 + 160)
        there_s = begin + abs(x - outside) / CARRIED_PX_S
        gone = 640 - outside
        course = (
            (begin, outside),
            (there_s, x),
            (there_s + wait_s, x),
            (there_s + wait_s + abs(gone - x) / CARRIED_PX_S, gone),
        )
        things.append(cast.thing(course, width, BOARD_DEPTH, top=role.y - 1.1 * role.face_px))
    return roles, things


def leaving(cast: Cast) -> tuple[list[Role], list[Thing]]:
    """One leaves and is back after 1.5 s; one leaves and comes back at the other side after 5 s: another stay."""
    speed = cast.between((110, 150))
    soon_y, late_y = cast.between((170, 200)), cast.between((230, 260))
    out_s = 1.0 + (640 - 420) / speed  # from here on less than half of the face is in the picture
    beyond = 640 + speed * 0.75
    soon = ((1.0, 420.0), (out_s + 0.75, beyond), (out_s + 0.75 + (beyond - 330) / speed, 330.0))
    gone_s = 1.0 + (220 + OUTSIDE_PX) / speed
    late = ((1.0, 220.0), (gone_s, -OUTSIDE_PX), (gone_s + 3.2, -OUTSIDE_PX), (gone_s + 3.21, 640 + OUTSIDE_PX),
            (gone_s + 3.21 + (OUTSIDE_PX + 140) / speed, 500.0))  # fmt: skip
    return [cast.role(soon, soon_y, 90.0), cast.role(late, late_y, 100.0)], []


def another(cast: Cast) -> tuple[list[Role], list[Thing]]:
    """One goes behind a pillar and stays there; another one, who stood there from the start, comes out of it.

    So it is twice: once where the first would have come out, once where he went in.
    """
    roles, things = [], []
    for x, begin, same_side in ((180.0, 0.3, False), (470.0, 3.6, True)):
        speed, face_px = cast.between((80, 120)), cast.between((80, 100))
        way = 1 if x < 320 else -1
        start = 320 - way * (320 + OUTSIDE_PX)
        there_s = begin + abs(x - start) / speed
        roles.append(cast.role(((begin, start), (there_s, x)), 200.0, face_px))
        out = x + (-way if same_side else way) * 130
        comes_s = there_s + cast.between((0.3, 1.2))
        roles.append(cast.role(((comes_s, x), (comes_s + 130 / speed, out)), 205.0, face_px * cast.between((0.9, 1.0))))
        things.append(cast.thing(((0, x),), 1.35 * face_px, PILLAR_DEPTH))
    return roles, things


def walk(way: int, begin_s: float, speed: float) -> Course:
    """Through the whole picture, to the right (1) or to the left (-1), at so many px a second."""
    start = 320 - way * (320 + OUTSIDE_PX)
    return ((begin_s, start), (begin_s + (640 + 2 * OUTSIDE_PX) / speed, 640 - start))


def standing(cast: Cast, x: float) -> Role:
    return cast.role(((0, x),))


def alone(actor: Actor, room: np.ndarray, face_px: float) -> PersonScene:
    """Somebody in the middle of a room, for one picture."""
    return PersonScene(actor.name, room, (Role(actor, ((0, 320.0),), 220.0, face_px, 1.0, 0.0),), (), 0.1, 10.0)
