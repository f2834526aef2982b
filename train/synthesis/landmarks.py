"""Five points of a face, and the units that they give: where eyes, nose and mouth are, whatever its size and turn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from configs.errors import InputError

MOST_TURNED = 0.25  # sideways shift of the nose as a share of the eye distance; beyond it a drawn mask looks wrong


class LandmarkFinder:
    """Five points of the most certain face of a crop, by YuNet (its model file is OpenCV zoo's).

    Faces are passed over whose nose is more than `most_turned` eye distances away from the middle.
    """

    def __init__(self, model: Path, most_turned: float = MOST_TURNED) -> None:
        self.most_turned = most_turned
        if not model.is_file():
            raise InputError(f"{model}: no such file; landmarks are found by YuNet's face_detection_yunet_2023mar.onnx")
        try:
            self.detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), score_threshold=0.7)
        except cv2.error as error:
            raise InputError(f"{model}: not a YuNet face detection model") from error

    def find(self, crop: np.ndarray) -> np.ndarray | None:
        """(5, 2) float32 px: eyes, tip of the nose, corners of the mouth, left of the picture first; None if unsure."""
        border = max(crop.shape[:2]) // 4  # YuNet misses faces that fill the whole picture
        framed = cv2.copyMakeBorder(crop, border, border, border, border, cv2.BORDER_REPLICATE)
        self.detector.setInputSize((framed.shape[1], framed.shape[0]))
        _, faces = self.detector.detect(framed)
        if faces is None:
            return None
        landmarks = faces[faces[:, -1].argmax(), 4:14].reshape(5, 2) - np.float32(border)
        if not ((landmarks > -border) & (landmarks < max(crop.shape[:2]) + border)).all():  # up to 1e30 for tiny faces
            return None
        _, _, sideways = face_axes(landmarks)
        return landmarks if abs(sideways) <= self.most_turned else None


def face_axes(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """`across` (one eye distance, to the right) and `down` (eyes to mouth) in px, and how far the nose is sideways."""
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    down = mouth - eyes
    length = float(np.linalg.norm(down)) or 1.0
    right = np.array([down[1], -down[0]], np.float32) / length
    eye_distance = max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 0.8 * length)  # a turned head shortens it
    return right * eye_distance, down, float((landmarks[2] - eyes) @ right) / eye_distance


def to_px(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Points (N, 2) in face units as pixels of the crop."""
    across, down, _ = face_axes(landmarks)
    return landmarks[:2].mean(axis=0) + points[:, :1] * across + points[:, 1:] * down


def fixed_point(points: np.ndarray) -> list[np.ndarray]:
    """Pixels as OpenCV draws them to a sixteenth of a pixel (shift=4)."""
    return [(points * 16).round().astype(np.int32)]
