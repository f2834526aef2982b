"""What the network is shown in an epoch: which faces, in which order, and varied how."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from configs.errors import InputError
from configs.plural import counted
from train.data.dataset import Dataset
from train.data.pictures import read_pictures
from train.synthesis.augment import augment
from train.synthesis.landmarks import LandmarkFinder
from train.synthesis.painted_masks import Worn, paint_mask

log = logging.getLogger("train")

Balance = Literal["none", "weights", "sampling"]

PAINTED_SHARE = 0.35  # of the bare faces drawn; half of them get the mask on well, half badly


@dataclass(frozen=True, slots=True)
class TrainingFaces:
    """Crops (H, W, 3) uint8 BGR of any size, labels (N,), and for bare faces to paint masks on their landmarks."""

    crops: list[np.ndarray]
    labels: np.ndarray
    classes: tuple[str, ...]
    landmarks: dict[int, np.ndarray]


def read_training_faces(data: Dataset, longest_px: int, landmark_model: Path | None) -> TrainingFaces:
    """The training pictures in memory, with the landmarks of bare faces where masks shall be painted on them."""
    crops, labels = read_pictures(data.splits["train"], longest_px)
    landmarks = {}
    if landmark_model is not None:
        if not {"mask", "no_mask", "wrong_mask"} <= set(data.classes):
            raise InputError("--paint-masks needs the classes mask, no_mask and wrong_mask")
        finder = LandmarkFinder(landmark_model)
        found = {int(i): finder.find(crops[i]) for i in np.flatnonzero(labels == data.classes.index("no_mask"))}
        landmarks = {index: points for index, points in found.items() if points is not None}
        log.info("masks will be painted on %d of %d bare faces", len(landmarks), len(found))
    return TrainingFaces(crops, labels, data.classes, landmarks)


class Batches:
    """The batches of one epoch: `batches[step]` is (N, size, size, 3) uint8 BGR and labels (N,) int64.

    What is in a batch follows from seed, epoch and step alone. So nobody need remember the state of a random
    generator to go on after a kill, and it does not matter which worker makes it. Of `world_size`
    processes each gets every `world_size`-th face of the same batch.
    """

    def __init__(
        self,
        faces: TrainingFaces,
        size: int,
        batch_size: int,
        *,
        epoch: int,
        seed: int = 0,
        shuffled: bool = True,
        sampled: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.faces, self.size, self.epoch, self.seed = faces, size, epoch, seed
        self.rank, self.world_size = rank, world_size
        order = epoch_order(faces.labels, shuffled, sampled, np.random.default_rng((seed, epoch)))
        places = np.arange(len(order))
        # of almost the same size each: a last batch of one face would be too few for batch norm
        self.batches = np.array_split(np.stack([places, order], axis=1), steps_of(len(order), batch_size))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        mine = self.batches[step][self.rank :: self.world_size]
        drawn = [self.face(int(index), int(place)) for place, index in mine]
        return np.stack([pixels for pixels, _ in drawn]), np.array([label for _, label in drawn], np.int64)

    def face(self, index: int, place: int) -> tuple[np.ndarray, int]:
        """One face (size, size, 3) and its label, varied by its place in the epoch."""
        crop, label = self.faces.crops[index], int(self.faces.labels[index])
        rng = np.random.default_rng((self.seed, self.epoch, place))
        if index in self.faces.landmarks and rng.random() < PAINTED_SHARE:
            worn: Worn = "well" if rng.random() < 0.5 else ("under_nose" if rng.random() < 0.6 else "on_chin")
            crop = paint_mask(crop, self.faces.landmarks[index], worn, rng)
            label = self.faces.classes.index("mask" if worn == "well" else "wrong_mask")
        return augment(crop, self.size, rng), label


def steps_of(pictures: int, batch_size: int) -> int:
    """How many batches an epoch has."""
    return -(-pictures // batch_size)


def require_enough(faces: TrainingFaces, batch_size: int, processes: int) -> None:
    """Raise InputError where the batches are too small to give each process a face."""
    pictures = len(faces.labels)
    if pictures // steps_of(pictures, batch_size) < processes:
        there = counted(pictures, "picture")
        raise InputError(f"--batch-size {batch_size}: {there} in such batches: too few for {processes}")


def epoch_order(labels: np.ndarray, shuffled: bool, sampled: bool, rng: np.random.Generator) -> np.ndarray:
    """Indices (N,) of the N faces of an epoch: all of them once, or drawn with the rare classes more often.

    Classes are drawn by the root of their size: between how they come and all alike.
    """
    if sampled:
        _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        chances = (counts**-0.5)[classes]
        return rng.choice(len(labels), len(labels), p=chances / chances.sum())
    return rng.permutation(len(labels)) if shuffled else np.arange(len(labels))


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights (classes,) float32 that let every class count the same; their mean over the labels is 1."""
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.zeros(classes, np.float32)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights
