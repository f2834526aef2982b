"""Where a training starts from: a file, a download that cannot be had, or nothing."""

import pytest

from configs.errors import InputError
from inference.networks import build_network
from train.classifier.start import load_pretrained

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")


@pytest.mark.parametrize("backbone", ["BasicCNN", "FaceResNet", "EfficientNet"])
def test_networks_of_our_own_have_no_imagenet_weights(backbone):
    with pytest.raises(InputError, match=f"there are none for {backbone}"):
        load_pretrained(build_network(backbone, 3), backbone, "imagenet")


def test_a_weights_file_fills_everything_but_the_head(tmp_path):
    given, network = build_network("MobileNetV3", 1000), build_network("MobileNetV3", 3)
    torch.save(given.state_dict(), tmp_path / "imagenet.pth")
    head = network.classifier[3].weight.clone()
    load_pretrained(network, "MobileNetV3", str(tmp_path / "imagenet.pth"))
    assert torch.equal(network.features[0][0].weight, given.features[0][0].weight)
    assert torch.equal(network.classifier[3].weight, head)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(build_network("MobileNetV3", 3).state_dict(), tmp_path / "other.pth")
    with pytest.raises(InputError, match="not weights of BasicCNN"):
        load_pretrained(build_network("BasicCNN", 3), "BasicCNN", str(tmp_path / "other.pth"))


def test_imagenet_weights_that_cannot_be_downloaded_name_the_other_ways(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(InputError, match=r"--weights FILE.*--weights none") as refusal:
        load_pretrained(build_network("ResNet", 3), "ResNet", "imagenet")
    assert "\n" not in str(refusal.value)
