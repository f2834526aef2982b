"""ONNX files run by ONNX Runtime, on CPU or CUDA: our own, and those that others made."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends.backend import Backend, varied_faces
from inference.backends.onnx_errors import in_short, session_errors
from inference.backends.onnx_form import FLOATS, InputForm, as_rows, input_form, is_table
from inference.backends.onnx_graph import last_operation
from inference.backends.outputs import as_logits, meaning_of, outputs_for, remark
from inference.backends.session import METADATA_KEY, open_session
from inference.checkpoint import ModelInfo
from inference.preprocess import Preprocessing

if TYPE_CHECKING:
    import onnxruntime

log = logging.getLogger("classify")

PRECISION_KEY = "maskstream.precision"  # in a file's metadata: fp32, fp16 or int8


class OnnxBackend(Backend):
    """An ONNX file of any precision.

    Our own take (batch, 3, size, size) float32 RGB or (batch, size, size, 3) uint8 BGR, and give logits. Files made
    elsewhere may differ as `inference.onnx_form` and `inference.outputs` say; one line tells what was found.
    """

    suffixes = (".onnx",)

    def __init__(self, path: Path, config: ClassifyConfig) -> None:
        self.session, self.provider = open_session(path, config.device, config.threads or 1)
        self.form = input_form(path, self.session)
        self.info = onnx_info(path, self.session, config, self.form)
        self._output, first = self._chosen_output(path)
        try:
            self.meaning = meaning_of(first, last_operation(path, self._output), len(self.classes))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        remarks = [*self.form.remarks(), *remark(self.meaning, self.classes)]
        if remarks:
            log.warning("%s: %s", path, "; ".join(remarks))

    def logits(self, faces: np.ndarray) -> np.ndarray:
        return as_logits(as_rows(self._run([self._output], faces)[0], len(faces)), self.meaning)

    def _run(self, outputs: list[str], faces: np.ndarray) -> list[np.ndarray]:
        """These outputs of the faces, in as many passes as the model's batch asks for."""
        answers = [self.session.run(outputs, {self.form.name: batch}) for batch in self.form.batches(faces)]
        if not self.form.batch:
            return answers[0]
        return [np.concatenate(list(map(np.atleast_1d, parts)))[: len(faces)] for parts in zip(*answers, strict=True)]

    def _chosen_output(self, path: Path) -> tuple[str, np.ndarray]:
        """The output with a number for each class, else the first one; and what it says of varied faces.

        A model that cannot take several faces at once gets them one by one: a batch is often free by name only.
        """
        faces = varied_faces(self.preprocessing)
        outputs = [output for output in self.session.get_outputs() if output.type in FLOATS]
        refusals = [f"has no output of floats: {', '.join(output.type for output in self.session.get_outputs())}"]
        for batch in dict.fromkeys((self.form.batch, 1)) if outputs else ():
            self.form = replace(self.form, batch=batch)
            try:
                answers = self._run([output.name for output in outputs], faces)
            except session_errors() as error:
                refusals.append(f"cannot be run on faces: {in_short(error)}")
                continue
            rows = {
                output.name: as_rows(answer, len(faces))
                for output, answer in zip(outputs, answers, strict=True)
                if is_table(answer, len(faces))
            }
            if rows:
                fits = (name for name, row in rows.items() if row.shape[1] in outputs_for(len(self.classes)))
                name = next(fits, next(iter(rows)))
                return name, rows[name]
            shapes = ", ".join(str(answer.shape) for answer in answers)
            refusals.append(f"must give a row of numbers for each face, of {len(faces)} faces it gives {shapes}")
        raise InputError(f"{path}: {refusals[:2][-1]}")

    @property
    def precision(self) -> str:
        """fp32, fp16 or int8, as the file says; a file made elsewhere says nothing."""
        return self.session.get_modelmeta().custom_metadata_map.get(PRECISION_KEY, "")


def onnx_info(path: Path, session: onnxruntime.InferenceSession, config: ClassifyConfig, form: InputForm) -> ModelInfo:
    """What the file says of itself; of a file made elsewhere, the classes given and ImageNet's mean and deviation."""
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        if form.takes_pixels:
            raise InputError(f"{path}: takes uint8 pixels, but has no {METADATA_KEY} metadata to say of which colours")
        if not config.classes:
            raise InputError(f"{path}: holds no class names; give them in order: --classes a,b,c")
        log.info("%s: made elsewhere: it gets RGB with ImageNet's mean and deviation taken off", path)
        return ModelInfo(config.classes, Preprocessing(form.size))
    try:
        info = msgspec.json.decode(text, type=ModelInfo)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: its {METADATA_KEY} metadata cannot be read: {error}") from error
    said = (info.preprocessing.size, info.preprocessing.normalised_inside)
    if said != (form.size, form.takes_pixels):
        raise InputError(f"{path}: its {METADATA_KEY} metadata are of another model: size or type of input differ")
    return msgspec.structs.replace(info, classes=config.classes or info.classes)
