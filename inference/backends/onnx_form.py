"""The forms in which ONNX files take faces and give answers: layout, type and batch of the input, which output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs.errors import InputError

if TYPE_CHECKING:
    import onnxruntime

FLOATS: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


@dataclass(frozen=True, slots=True)
class InputForm:
    """The one input of a model. `batch` is the number of faces that it takes at once, 0 for any number.

    A model that `takes_pixels` gets (batch, size, size, 3) uint8 BGR; others floats, RGB, with the `channels_last` or
    before the rows.
    """

    name: str
    size: int
    dtype: type[np.generic]
    takes_pixels: bool
    channels_last: bool
    batch: int

    def batches(self, faces: np.ndarray) -> list[np.ndarray]:
        """Faces that `prepare` made, as the model takes them; a batch that is not full is filled with its last face."""
        if self.channels_last and not self.takes_pixels:
            faces = np.ascontiguousarray(faces.transpose(0, 2, 3, 1))
        faces = faces.astype(self.dtype, copy=False)
        if not self.batch or len(faces) == self.batch:
            return [faces]
        chunks = [faces[start : start + self.batch] for start in range(0, len(faces), self.batch)]
        missing = self.batch - len(chunks[-1])
        chunks[-1] = np.concatenate([chunks[-1], np.repeat(chunks[-1][-1:], missing, axis=0)])
        return chunks

    def remarks(self) -> list[str]:
        """What a user should know of it, in words."""
        found = []
        if self.channels_last and not self.takes_pixels:
            found.append("its channels come last: faces are transposed")
        if self.batch == 1:
            found.append("it takes one face at a time (export it with a dynamic batch to be faster)")
        elif self.batch:
            found.append(
                f"its batch is fixed at {self.batch}: smaller ones are filled up (export it with a dynamic one)"
            )
        return found


def input_form(path: Path, session: onnxruntime.InferenceSession) -> InputForm:
    """How the model takes faces. Raises InputError for an input that faces do not fit."""
    inputs = session.get_inputs()
    shape, kind = inputs[0].shape, inputs[0].type
    takes_pixels = kind == "tensor(uint8)"
    channels_last = len(shape) == 4 and shape[3] == 3 and (takes_pixels or shape[1] != 3)
    colours = len(shape) == 4 and (channels_last or (shape[1] == 3 and not takes_pixels))
    if len(inputs) != 1 or not (takes_pixels or kind in FLOATS) or not colours:
        described = ", ".join(f"{given.type} {given.shape}" for given in inputs)
        raise InputError(
            f"{path}: its input must be one tensor, float (batch, 3, size, size) or uint8 (batch, size, size, 3); "
            f"it is {described}"
        )
    height, width = shape[1:3] if channels_last else shape[2:4]
    if not isinstance(height, int) or height != width:
        raise InputError(f"{path}: its input must be square and of one size, it is {height} x {width}; export it so")
    batch = shape[0] if isinstance(shape[0], int) else 0
    return InputForm(
        inputs[0].name, height, np.uint8 if takes_pixels else FLOATS[kind], takes_pixels, channels_last, batch
    )


def as_rows(output: np.ndarray, faces: int) -> np.ndarray:
    """(faces, numbers) of an output that may have sides of 1 behind or between them."""
    return output.reshape(faces, -1)


def is_table(output: np.ndarray, faces: int) -> bool:
    """
    >>> is_table(np.zeros((4, 3, 1, 1), np.float16), 4), is_table(np.zeros((4, 3, 7, 7), np.float16), 4)
    (True, False)
    """
    return output.ndim >= 1 and len(output) == faces and sum(side != 1 for side in output.shape[1:]) <= 1
