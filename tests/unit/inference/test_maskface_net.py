"""The detector's network: its size, its answers, and its checkpoint."""

import pytest

torch = pytest.importorskip("torch")

from configs.errors import InputError  # noqa: E402
from inference.checkpoint import ModelInfo, save_checkpoint  # noqa: E402
from inference.detectors.maskface_file import DetectorInfo, is_detector, load_detector, save_detector  # noqa: E402
from inference.networks import PREPROCESSING, build_network  # noqa: E402
from inference.networks.maskface_net import MaskFace, OnePicture, places  # noqa: E402


@pytest.fixture(scope="module")
def network():
    """Random weights, and batch norms that have seen something."""
    torch.manual_seed(0)
    made = MaskFace()
    made(torch.rand(4, 3, 64, 96) * 255)
    return made.eval()


def test_it_has_less_than_a_hundred_thousand_weights(network):
    assert 90_000 < sum(weight.numel() for weight in network.parameters()) < 100_000


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (160, 32)])
def test_each_place_has_a_score_and_a_box_near_it(network, height, width):
    logits, boxes = network(torch.rand(2, 3, height, width) * 255)
    middles, strides = places(height, width)
    assert logits.shape == (2, len(strides))
    assert boxes.shape == (2, len(strides), 4)
    assert len(strides) == height * width * (1 / 64 + 1 / 256 + 1 / 1024)
    away = ((boxes[..., :2] + boxes[..., 2:]) / 2 - middles).abs().amax(dim=-1)
    assert (away < strides).all()
    assert (boxes[..., 2:] > boxes[..., :2]).all()


def test_no_place_calls_itself_a_face_at_the_start():
    assert MaskFace().eval()(torch.rand(1, 3, 64, 64) * 255)[0].sigmoid().max() < 0.1


def test_what_is_exported_answers_as_the_network_does(network):
    picture = torch.rand(1, 3, 64, 96) * 255
    with torch.inference_mode():
        logits, boxes = network(picture)
        one_boxes, scores = OnePicture(network)(picture)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in OnePicture(network).modules())
    assert torch.allclose(scores, logits[0].sigmoid(), atol=1e-5)
    assert torch.allclose(one_boxes, boxes[0], atol=1e-2)


def test_a_box_never_becomes_infinite():
    network = MaskFace().eval()
    with torch.no_grad():
        for head in network.heads:
            head.answer.bias[3:] = 1000
        assert torch.isfinite(network(torch.zeros(1, 3, 32, 32))[1]).all()


def test_a_checkpoint_comes_back_as_it_was(network, tmp_path):
    save_detector(tmp_path / "d.pth", network, DetectorInfo(score=0.25))
    assert torch.load(tmp_path / "d.pth", weights_only=True)["format"] == "maskstream-detector-1"
    loaded, info = load_detector(tmp_path / "d.pth")
    assert info == DetectorInfo(name="maskface", score=0.25)
    picture = torch.rand(1, 3, 32, 64) * 255
    with torch.inference_mode():
        assert torch.equal(loaded(picture)[0], network(picture)[0])
    assert [path.name for path in tmp_path.iterdir()] == ["d.pth"]


def test_a_classifier_is_no_detector(network, tmp_path):
    save_detector(tmp_path / "d.pth", network, DetectorInfo(score=0.5))
    classifier = build_network("MobileNetV3", 2)
    save_checkpoint(tmp_path / "c.pth", classifier, ModelInfo(("a", "b"), PREPROCESSING["MobileNetV3"], "MobileNetV3"))
    assert is_detector(tmp_path / "d.pth")
    assert not is_detector(tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"c\.pth: not the checkpoint of a face detector"):
        load_detector(tmp_path / "c.pth")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"weights": {}}, r"d\.pth: these are not weights of the detector maskface"),
        ({"weights": None}, r"d\.pth: these are not weights of the detector maskface"),
        ({"info": {"score": "high"}}, r"d\.pth: damaged checkpoint"),
        ({"info": None}, r"d\.pth: damaged checkpoint"),
    ],
)
def test_a_damaged_checkpoint_is_named(network, tmp_path, change, line):
    save_detector(tmp_path / "d.pth", network, DetectorInfo(score=0.5))
    content = torch.load(tmp_path / "d.pth", weights_only=True)
    torch.save(content | change, tmp_path / "d.pth")
    with pytest.raises(InputError, match=line):
        load_detector(tmp_path / "d.pth")
