"""The faster first layer of BasicCNN is the same layer."""

import pytest

torch = pytest.importorskip("torch")

from inference.networks import build_network  # noqa: E402
from train.classifier.pooled_conv import with_pooled_conv  # noqa: E402


def test_outputs_are_the_same_and_gradients_but_for_rounding():
    torch.manual_seed(0)
    plain = build_network("BasicCNN", 3).eval()  # without dropout
    pictures = torch.rand(3, 3, 256, 256)
    wanted = plain(pictures)
    wanted.square().sum().backward()
    gradients = {name: weight.grad.clone() for name, weight in plain.named_parameters()}
    plain.zero_grad()

    fast = with_pooled_conv(plain)
    outputs = fast(pictures)
    outputs.square().sum().backward()
    assert torch.equal(outputs, wanted)
    assert {name for name, _ in fast.named_parameters()} == gradients.keys()
    for name, weight in fast.named_parameters():
        assert torch.allclose(weight.grad, gradients[name], rtol=1e-4, atol=1e-5 * gradients[name].abs().max()), name


def test_its_weights_load_into_the_plain_network():
    fast = with_pooled_conv(build_network("BasicCNN", 2))
    build_network("BasicCNN", 2).load_state_dict(fast.state_dict())
