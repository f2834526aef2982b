"""Weights of EfficientNet-Lite0 under the names that its package has, and under ours."""

import pytest

from configs.errors import InputError
from inference.networks import build_network
from train.classifier.published_weights import renamed_efficientnet
from train.classifier.start import load_pretrained

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

STEM = {"_conv_stem.weight": "stem.0.weight", "_bn0.running_var": "stem.1.running_var"}
PARTS = {
    "_expand_conv.weight": "widen.0.weight",
    "_bn0.weight": "widen.1.weight",
    "_depthwise_conv.weight": "look.0.weight",
    "_bn1.running_mean": "look.1.running_mean",
    "_project_conv.weight": "narrow.0.weight",
    "_bn2.bias": "narrow.1.bias",
}


def test_its_names_become_ours():
    theirs = STEM | {f"_blocks.12.{name}": f"block12.parts.{own}" for name, own in PARTS.items()}
    named = renamed_efficientnet({name: torch.tensor(number) for number, name in enumerate(theirs)})
    assert {name: int(value) for name, value in named.items()} == {own: n for n, own in enumerate(theirs.values())}


def as_the_package_has_it(network):
    """The network's state dict under the package's names, with layers that we leave out."""
    backwards = {own: name for name, own in (STEM | PARTS).items()}
    theirs = {}
    for own, value in network.state_dict().items():
        layer, part = own.rsplit(".", 1)
        block, _, rest = layer.partition(".parts.")
        known = {key.rsplit(".", 1)[0]: name.rsplit(".", 1)[0] for key, name in backwards.items()}
        name = f"_blocks.{block.removeprefix('block')}.{known[rest]}" if rest else known.get(layer)
        if name:
            theirs[f"{name}.{part}"] = value
    return theirs | {"_conv_head.weight": torch.zeros(1280, 320, 1, 1), "_fc.weight": torch.zeros(1000, 1280)}


def test_a_training_starts_from_them(tmp_path):
    given, network = build_network("EfficientNet", 3), build_network("EfficientNet", 2)
    torch.save(as_the_package_has_it(given), tmp_path / "efficientnet-lite0.pth")
    head = network.head.weight.clone()
    load_pretrained(network, "EfficientNet", str(tmp_path / "efficientnet-lite0.pth"))
    for name, value in given.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(network.state_dict()[name], value)
    assert torch.equal(network.head.weight, head)


def test_half_of_them_is_refused(tmp_path):
    weights = as_the_package_has_it(build_network("EfficientNet", 3))
    del weights["_blocks.3._depthwise_conv.weight"]
    torch.save(weights, tmp_path / "half.pth")
    with pytest.raises(InputError, match="not weights of EfficientNet"):
        load_pretrained(build_network("EfficientNet", 3), "EfficientNet", str(tmp_path / "half.pth"))
