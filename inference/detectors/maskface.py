"""Our own detector of faces, with and without masks: a small ONNX file that says how it is to be read."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from configs.errors import InputError
from configs.schema import DetectConfig
from inference.backends.onnx_errors import session_errors
from inference.backends.session import METADATA_KEY, open_session
from inference.detectors.detector import DEVICE_OPTION, BoxMapping, Detector, Shrunken, stretched
from inference.detectors.maskface_file import MULTIPLE, DetectorInfo
from inference.detectors.scales import find_at_all_scales
from transport.frame import Box

SHIPPED_DETECTOR = Path(__file__).parents[1] / "pretrained" / "maskface.onnx"
MAPPING = BoxMapping(x=0.0, y=0.0, width=1.0, height=1.0)


class MaskfaceDetector(Detector):
    """An ONNX file with one input `image` (1, 3, H, W) float32 BGR 0..255 and two outputs.

    `boxes` (N, 4) float32 are corners x1, y1, x2, y2 in px of the input, `scores` (N,) float32 are theirs, all
    candidates, whatever their score. Raises InputError for a file that is missing or something else.
    """

    about = "a network of ours that ships"
    on_cuda = True
    mapping = MAPPING

    def __init__(self, config: DetectConfig) -> None:
        super().__init__(config)
        path = Path(config.model) if config.model else SHIPPED_DETECTOR
        if not path.is_file():
            raise InputError(f"{path}: no such model file of a detector; another one: --detector-model FILE")
        self._session, provider = open_session(path, config.device, option=DEVICE_OPTION)
        self._info = read_info(path, self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY))
        self.score = self._info.score if config.score is None else config.score
        self.name = f"{self._info.name} {path.name}{' on CUDA' if provider.startswith('CUDA') else ''}"
        unfit: tuple[type[Exception], ...] = (ValueError, *session_errors())
        try:
            self._network(np.zeros((MULTIPLE, MULTIPLE, 3), np.uint8))
        except unfit as error:
            raise InputError(f"{path}: cannot be run as a detector: {str(error).splitlines()[0]}") from error

    def scored(self, picture: Shrunken, least: float) -> list[tuple[Box, float]]:
        picture = stretched(picture)
        boxes, scores = self.places(picture, least, self._info.nms_iou)
        return self.of_allowed_size(boxes, scores, picture)

    def places(self, picture: Shrunken, least: float, most_iou: float) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4), x, y, width, height, and scores (N,) in a picture whose greys are spread already."""
        corners, scores = find_at_all_scales(picture.bgr, self._network, least, most_iou)
        return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1), scores

    def _network(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Corners (N, 4) and scores (N,) of all candidates in a picture (H, W, 3) uint8 BGR."""
        planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None]).astype(np.float32)
        corners, scores = self._session.run(["boxes", "scores"], {"image": planes})
        if corners.ndim != 2 or corners.shape[1] != 4 or scores.shape != corners.shape[:1]:
            raise ValueError(f"its boxes and scores must be (N, 4) and (N,), they are {corners.shape}, {scores.shape}")
        return corners, scores


def read_info(path: Path, text: str | None) -> DetectorInfo:
    """The metadata of a detector's file; InputError if they are those of something else."""
    try:
        return msgspec.json.decode(text or "{}", type=DetectorInfo)
    except msgspec.MsgspecError:
        raise InputError(f"{path}: is no face detector of maskstream (its metadata do not say so)") from None
