"""A detector that goes on learning says at first what its file said."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from configs.errors import InputError  # noqa: E402
from configs.schema import DetectConfig  # noqa: E402
from inference.detectors import open_detector  # noqa: E402
from inference.detectors.maskface import SHIPPED_DETECTOR  # noqa: E402
from inference.networks.maskface_net import MaskFace  # noqa: E402
from train.detector.batches import batch_of  # noqa: E402
from train.detector.start import load_start  # noqa: E402
from train.detector.views import View  # noqa: E402


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)
    nothing = np.zeros((0, 4), np.float32)
    views = [View(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), nothing, nothing) for _ in range(8)]
    return [batch_of(views), batch_of(views[::-1])]


def answers(network, batch):
    pictures = torch.from_numpy(batch.pictures).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        logits, boxes = network(pictures)
    return logits.sigmoid().numpy(), boxes.numpy()


def test_an_exported_file_says_the_same_with_its_norms_made_again(batches):
    network = load_start(SHIPPED_DETECTOR, batches)
    scores, boxes = answers(network, batches[0])
    opened = open_detector(DetectConfig(detector="maskface"))
    for picture, own_boxes, own_scores in zip(batches[0].pictures, boxes, scores, strict=True):
        corners, sure = opened._network(picture)
        np.testing.assert_allclose(own_scores, sure, atol=1e-4)
        np.testing.assert_allclose(own_boxes, corners, atol=0.05)


def test_it_says_nearly_the_same_while_it_learns(batches):
    """Norms go by the views of the step then: had they been left as they were, all activations would be others."""
    network = load_start(SHIPPED_DETECTOR, [batches[0]])
    settled, _ = answers(network, batches[0])
    learning, _ = answers(network.train(), batches[0])
    assert np.abs(learning - settled).max() < 0.01


def test_other_files_are_refused_by_name(tmp_path, batches):
    with pytest.raises(InputError, match=r"gone\.onnx: no such file"):
        load_start(tmp_path / "gone.onnx", batches)
    (tmp_path / "words.onnx").write_text("words")
    with pytest.raises(InputError, match=r"words\.onnx: no ONNX file"):
        load_start(tmp_path / "words.onnx", batches)
    with pytest.raises(InputError, match="not the weights of maskface"):
        load_start(SHIPPED_DETECTOR.with_name("verifier.onnx"), batches)
    torch.save(MaskFace().state_dict(), tmp_path / "plain.pth")
    with pytest.raises(InputError, match="not the checkpoint of a face detector"):
        load_start(tmp_path / "plain.pth", batches)
