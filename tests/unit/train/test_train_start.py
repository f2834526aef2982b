"""Where a training starts from: a file, a download that cannot be had, or nothing."""

import pytest

from configs.errors import InputError
from inference.networks import build_network
from train.classifier.start import found_weights, load_pretrained, origin_of

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


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A working folder with models/, and PyTorch's cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "here" / "models").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    return tmp_path / "here", tmp_path / "here" / "models", cache


def test_a_bare_name_is_looked_for_here_then_in_models_then_in_the_cache(places):
    for folder in reversed(places):
        (folder / "w.pth").touch()
        for name in ("w", "w.pth"):
            assert found_weights(name).absolute() == folder / "w.pth"
    assert origin_of("ResNet", "w") == "w.pth"


def test_weights_that_are_not_there_name_all_places_that_were_looked_at(places):
    with pytest.raises(InputError) as refusal:
        found_weights("lost")
    text = str(refusal.value)
    assert text.startswith("--weights lost: no such file; looked for lost, lost.pth, models/lost, models/lost.pth, ")
    assert str(places[2] / "lost.pth") in text
    assert "\n" not in text
    with pytest.raises(InputError, match=r"looked for nowhere/w\.pth; give"):
        found_weights("nowhere/w.pth")
