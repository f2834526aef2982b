"""The networks: shapes, names of their weights, and which layers learn."""

import numpy as np
import pytest

from inference.networks import (
    BACKBONES,
    HEAD_INPUTS,
    HEADS,
    PREPROCESSING,
    build_network,
    freeze,
    training_mode,
    with_biases,
)
from inference.preprocess import normalise

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
from inference.networks.efficient_net import SamePad  # noqa: E402  # it needs torch
from inference.networks.face_ensemble import ensemble_weights  # noqa: E402


@pytest.fixture(scope="module")
def resnet():
    return build_network("ResNet", 3)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_network_takes_its_size_and_has_an_output_per_class(backbone):
    size = PREPROCESSING[backbone].size
    network = build_network(backbone, 4).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, size, size)).shape == (2, 4)
    assert network.state_dict()[f"{HEADS[backbone]}.weight"].shape == (4, HEAD_INPUTS[backbone])


def test_the_face_resnet_neither_dies_nor_explodes_though_it_has_no_batch_norm():
    torch.manual_seed(0)
    network = build_network("FaceResNet", 3).eval()
    with torch.inference_mode():
        logits = network(torch.randn(4, 3, 112, 112))
    assert 0.001 < logits.std() < 1


def test_basic_cnn_has_the_weights_of_the_original_under_the_same_names():
    shapes = {name: tuple(weight.shape) for name, weight in build_network("BasicCNN", 3).state_dict().items()}
    assert shapes == {
        "0.weight": (64, 3, 5, 5),
        "0.bias": (64,),
        "3.weight": (128, 64, 3, 3),
        "3.bias": (128,),
        "7.weight": (512, 128 * 18 * 18),
        "7.bias": (512,),
        "9.weight": (64, 512),
        "9.bias": (64,),
        "12.weight": (3, 64),
        "12.bias": (3,),
    }


@pytest.mark.parametrize(
    ("mode", "learning"), [("not_retrain", {"fc"}), ("retrain", {"layer3", "layer4", "fc"}), ("all", None)]
)
def test_exactly_the_layers_of_the_retrain_mode_learn(resnet, mode, learning):
    freeze(resnet, mode)
    learns = {name.split(".")[0] for name, weight in resnet.named_parameters() if weight.requires_grad}
    frozen = {name.split(".")[0] for name, weight in resnet.named_parameters() if not weight.requires_grad}
    assert learns == (learning or {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"})
    assert not learns & frozen


def test_batch_norm_of_frozen_layers_keeps_its_statistics(resnet):
    freeze(resnet, "retrain")
    training_mode(resnet)
    before = {name: value.clone() for name, value in resnet.state_dict().items() if "running_mean" in name}
    with torch.no_grad():
        resnet(torch.randn(2, 3, 64, 64))
    moved = {name.split(".")[0] for name in before if not torch.equal(resnet.state_dict()[name], before[name])}
    assert moved == {"layer3", "layer4"}


def test_biases_are_added_to_the_logits_of_a_copy():
    import torch

    network = build_network("BasicCNN", 3).eval()
    shifted = with_biases(network, "BasicCNN", (0.0, -1.0, 0.5))
    faces = torch.rand(2, 3, 256, 256)
    with torch.inference_mode():
        difference = shifted(faces) - network(faces)
    assert torch.allclose(difference, torch.tensor([0.0, -1.0, 0.5]).expand(2, 3), atol=1e-5)
    assert with_biases(network, "BasicCNN", ()) is network


def test_the_ensemble_says_the_mean_of_what_its_halves_say_of_the_same_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    halves = {backbone: build_network(backbone, 3) for backbone in ("FaceResNet", "EfficientNet")}
    for half in halves.values():
        with torch.no_grad():
            half.train()(torch.rand(4, 3, 112, 112))  # statistics that are not those of a new network
        half.eval()
    ensemble = build_network("FaceEnsemble", 3).eval()
    ensemble.load_state_dict(ensemble_weights(*halves.values()))
    with torch.inference_mode():
        said = [net(torch.from_numpy(normalise(pixels, PREPROCESSING[backbone]))) for backbone, net in halves.items()]
        together = ensemble(torch.from_numpy(normalise(pixels, PREPROCESSING["FaceEnsemble"])))
    assert torch.allclose(together, (said[0] + said[1]) / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "stride", "side", "before", "after"),
    [(3, 2, 112, 0, 1), (5, 2, 28, 1, 2), (5, 2, 7, 2, 2), (3, 1, 56, 1, 1), (3, 2, 7, 1, 1)],
)
def test_padding_is_that_of_tensorflow(kernel, stride, side, before, after):
    padded = SamePad(kernel, stride)(torch.ones(1, 1, side, side))[0, 0]
    rows = torch.nonzero(padded.sum(dim=1))[:, 0]
    assert (int(rows[0]), padded.shape[0] - 1 - int(rows[-1])) == (before, after)
    assert torch.equal(padded, padded.T)
