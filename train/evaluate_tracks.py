"""Score the numbers that persons get: `python -m train.evaluate_tracks [FILM ...]`."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np
import typer
from msgspec.structs import replace

from capture.film_truth import read_truth
from capture.kinds.film import Film
from configs.command import run_command
from configs.console import console
from configs.errors import InputError
from configs.load import load_config
from configs.plural import counted
from configs.schema import DetectConfig
from inference.detect import detect
from inference.detectors import open_detector
from inference.detectors.detector import Detector, scaled, shrink
from train.score.track_scores import PROMISED_MS, Picture, TrackScores, score_tracks
from train.synthesis.actors import Actor, photographed_actors, portrait_actors, rooms
from train.synthesis.person_scene import SIZE, PersonScene
from train.synthesis.person_scenes import FACE_PX, alone, scenes
from transport.frame import Frame, iou, time_ms
from transport.pixels import Pixels
from transport.stage import StageContext

log = logging.getLogger("evaluate-tracks")

TOGETHER = 8  # frames of a film that detect gets at once, as in a run
MOST_ROOMS = 24
LEAST_ACTORS = 5  # of a scene
SEEN_IOU = 0.6  # of a box with the face of an actor; while he moves it may become .5
ALL = "all scenes"


def evaluate_tracks(
    films: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILM ...]",
            help="Films with known faces: beside FILM.mp4 lies FILM.json. None: scenes are generated.",
            show_default=False,
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Persons and rooms of the generated scenes: a folder of images/ and COCO's annotations.json. If not "
            "given, they are made of the demo's portrait and room.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How often all scenes are generated, with other persons.")] = 1,
    first_seed: Annotated[int, typer.Option(min=0, help="The first of these seeds.")] = 0,
    fps: Annotated[float, typer.Option(min=1, max=60, help="Pictures a second of generated scenes.")] = 25.0,
    live: Annotated[
        bool,
        typer.Option("--live", help="Play all in real time, as a camera sends it: searches run beside the pictures."),
    ] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Any detect option: detect.key=value.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")] = False,
) -> None:
    """Whether each person keeps one number: IDF1, HOTA, switches, persons counted twice.

    Detection and tracking are the detect stage's, as on a film, or with --live as on a camera: what comes while it is
    busy is left out then, and figures depend on how busy the machine is. Generated scenes have persons who cross, are
    hidden for half a second, one and two, leave and come back. A face counts while half of it can be seen, and a box is
    on it where they overlap by 0.5 (IoU). Who was hidden for more than 2 s may have a new number.

    A truth file has a list for each picture: {"frames": [[{"label": "mask", "bbox": [x, y, width, height], "person":
    1, "visible": 0.8}, ...], ...]}. Without `person` a face that overlaps one of the picture before is the same person.

    Examples:
      maskstream evaluate-tracks
      maskstream evaluate-tracks --photos scenes/ --seeds 3
      maskstream evaluate-tracks door.mp4 hall.mp4 --json
    """
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    cv2.setNumThreads(1)
    if films and photos:
        raise InputError("give FILMs, or --photos to generate scenes from")
    config = load_config(None, settings or (), {}).detect
    played: dict[str, list[list[Picture]]] = {}
    if films:
        for film in films:
            played.setdefault(str(film), []).append(play_film(film, config, live))
    else:
        for scene in generated(photos, config, range(first_seed, first_seed + seeds), fps):
            played.setdefault(scene.name, []).append(play_scene(scene, config, live))
    scores = {name: score_tracks(runs) for name, runs in played.items()}
    if len(scores) > 1:
        scores[ALL] = score_tracks(run for runs in played.values() for run in runs)
    print_scores(scores)
    if as_json:
        facts = {"seeds": [first_seed, seeds], "fps": fps, "photos": str(photos or "")} if not films else {}
        print(json.dumps({"scenes": msgspec.to_builtins(scores), "live": live} | facts))


def play_film(path: Path, config: DetectConfig, live: bool = False) -> list[Picture]:
    """A film as the detect stage sees it, beside its truth. Raises InputError where one of them cannot be used."""
    if not path.is_file():
        raise InputError(f"{path}: no such film")
    frames = list(frames_of(path)) if live else frames_of(path)
    found = play(frames, config, live)
    truth = read_truth(path.with_suffix(".json"), len(frames) if isinstance(frames, list) else len(found), path)
    return [Picture(time_ms(frame), truth[frame.seq], frame.faces) for frame in found]


def frames_of(path: Path) -> Iterator[Frame]:
    """The pictures of a film, as capture reads them."""
    with contextlib.closing(Film(path)) as film:
        for seq in itertools.count():
            picture = film.read(lambda height, width: np.empty((height, width, 3), np.uint8))
            if picture is None:
                return
            yield Frame(
                path.name,
                seq,
                0,
                picture.image if isinstance(picture.image, Pixels) else Pixels(picture.image),
                media_ms=picture.media_ms,
            )


def play_scene(scene: PersonScene, config: DetectConfig, live: bool = False) -> list[Picture]:
    """A generated scene as the detect stage sees it, beside its truth."""
    truth = []

    def frames() -> Iterator[Frame]:
        for seq, (image, faces) in enumerate(scene.play()):
            truth.append(faces)
            yield Frame(scene.name, seq, 0, Pixels(image), media_ms=1000 * seq / scene.fps)

    found = play(list(frames()) if live else frames(), config, live)  # made before: that takes time, too
    return [Picture(time_ms(frame), truth[frame.seq], frame.faces) for frame in found]


def play(frames: Iterable[Frame], config: DetectConfig, live: bool = False) -> list[Frame]:
    """Frames through the detect stage: of a film as many at once as in a run, of a camera when they are due."""
    films = iter(frames)
    batches = as_they_come(films) if live else iter(lambda: list(itertools.islice(films, TOGETHER)), [])
    return [frame for frame in detect(config, batches, StageContext()) if isinstance(frame, Frame)]


def as_they_come(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Each frame when it is due, as of a camera; one that is late is left out, because the next one is there."""
    began_ns = time.monotonic_ns()
    for frame, after in itertools.pairwise([*frames, None]):
        assert frame is not None
        due_ns = began_ns + round(1e6 * time_ms(frame))
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        if after is None or time.monotonic_ns() < began_ns + round(1e6 * time_ms(after)):
            yield [replace(frame, captured_ns=due_ns, live=True)]


def generated(photos: Path | None, config: DetectConfig, seeds: Iterable[int], fps: float) -> Iterator[PersonScene]:
    """All scenes of all seeds. Persons and rooms are those of which the detector sees the face, or none."""
    detector = open_detector(config)
    empty = list(itertools.islice((room for room in rooms(photos, SIZE) if is_empty(room, detector)), MOST_ROOMS))
    if not empty:
        raise InputError(f"{photos}: a face is seen in each picture, also where the faces are blurred: no empty room")
    actors = [one for one in (photographed_actors(photos) if photos else portrait_actors()) if is_seen(one, detector)]
    if len(actors) < LEAST_ACTORS:
        raise InputError(
            f"{photos or 'the portrait'}: {counted(len(actors), 'person')} with a face that is large, alone and seen, "
            f"needs {LEAST_ACTORS}"
        )
    for seed in seeds:
        yield from scenes(actors, empty, seed, fps)


def is_empty(room: np.ndarray, detector: Detector) -> bool:
    """Whether the detector sees no face in a room, also in the mirror, nor nearly one: else its mistakes are scored."""
    picture = shrink(room, detector.config.width_px)
    return not any(detector.detect(picture, mirrored) for mirrored in (False, True))


def is_seen(actor: Actor, detector: Detector) -> bool:
    """Whether the detector finds the face of a person who stands before a grey wall, near and far, also in the mirror.

    Else it would be scored instead of the tracks.
    """
    wall = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    for face_px in FACE_PX:
        [(picture, [face])] = alone(actor, wall, face_px).play()
        shrunken = shrink(picture, detector.config.width_px)
        for mirrored in (False, True):
            found = [scaled(one.box, 1 / shrunken.scale) for one in detector.detect(shrunken, mirrored)]
            if not any(iou(box, face.box) >= SEEN_IOU for box in found):
                return False
    return True


def print_scores(scores: dict[str, TrackScores]) -> None:
    """One line for each scene."""
    from rich.table import Table

    columns = ("persons", "IDF1", "HOTA", "recall", "switches", "gaps", "twice", "shared", "false")
    table = Table("scene", *columns, title="numbers of persons", title_justify="left")
    for name, one in scores.items():
        table.add_row(
            name,
            str(one.persons),
            *(f"{value:.3f}" for value in (one.idf1, one.hota, one.recall)),
            *map(str, (one.switches, one.fragmentations)),
            f"{one.double_counts} ({one.double_share:.1%})",
            *map(str, (one.shared, one.false_persons)),
        )
    console().print(table)
    print(
        f"persons: who was hidden for more than {PROMISED_MS / 1000:g} s may count anew; gaps: without a box "
        "while seen; twice: numbers beyond the first of a person; shared: numbers of several persons; false: of nobody"
    )


if __name__ == "__main__":
    run_command([evaluate_tracks], "python -m train.evaluate_tracks")
