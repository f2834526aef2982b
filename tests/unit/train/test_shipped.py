"""How the shipped model is trained: batches drawn ahead, held-out sources."""

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from configs.errors import InputError
from inference.backends import SHIPPED_MODEL
from inference.networks import build_network
from inference.networks.face_ensemble import ensemble_weights
from train import shipped
from train.data.dataset import Split
from train.shipped import prefetch


def test_prefetched_batches_come_all_and_in_order():
    assert list(prefetch(iter([1, 2, 3, 4, 5]))) == [1, 2, 3, 4, 5]


def test_an_error_while_drawing_ahead_is_not_lost():
    with pytest.raises(ZeroDivisionError):
        list(prefetch(1 // number for number in (1, 0)))


def test_a_held_out_source_is_read_alone(tmp_path):
    for name, shade in (("jol_1.png", 10), ("amvd_1.png", 90), ("jol_2.png", 20)):
        cv2.imwrite(str(tmp_path / name), np.full((30, 30, 3), shade, np.uint8))
    files = tuple(sorted(tmp_path.iterdir()))
    pixels, labels = shipped.read_faces([Split(files, np.array([0, 1, 2]))], lambda source: source == "jol")
    assert labels.tolist() == [1, 2]
    assert pixels[:, 0, 0, 0].tolist() == [10, 20]
    pixels, labels = shipped.read_faces([Split(files, np.array([0, 1, 2]))], lambda source: source == "none")
    assert (len(pixels), len(labels)) == (0, 0)


def test_what_learns_further_says_at_first_what_its_file_said_but_for_the_bias():
    faces = np.random.default_rng(0).normal(0, 0.3, (4, 3, 112, 112)).astype(np.float32)
    session = onnxruntime.InferenceSession(SHIPPED_MODEL)
    [told] = session.run(None, {session.get_inputs()[0].name: faces})
    ensemble = build_network("FaceEnsemble", 3).eval()
    ensemble.load_state_dict(ensemble_weights(*shipped.halves_of(SHIPPED_MODEL)))
    with torch.inference_mode():
        said = ensemble(torch.from_numpy(faces)).numpy()
    np.testing.assert_allclose(said + np.array([0, 0, shipped.WRONG_MASK_LOGIT]), told, atol=2e-3)


def test_a_file_of_another_network_is_refused():
    with pytest.raises(InputError, match=r"maskface\.onnx: these are not the weights of FaceEnsemble"):
        shipped.halves_of(SHIPPED_MODEL.with_name("maskface.onnx"))
