"""How a training moves over its steps: the learning rate, and the weights that are averaged."""

import pytest

from train.classifier.loop import rate_share
from train.classifier.training import Recipe
from train.session.schedule import ema_decay, update_ema, warm_up_then_cosine


def test_the_learning_rate_rises_and_falls_to_nothing():
    share = warm_up_then_cosine(1000)
    assert share(0) < 0.05 < share(25) < share(50) == 1.0
    assert share(525) == pytest.approx(0.5)
    assert share(1000) == pytest.approx(0.0)


def test_schedules_start_after_the_warm_up():
    constant = rate_share(Recipe(epochs=1, batch_size=2, learning_rate=1, warm_up=4), 100)
    assert [constant(step) for step in (0, 1, 4, 5, 99)] == [0.2, 0.4, 1, 1, 1]
    cosine = rate_share(Recipe(epochs=1, batch_size=2, learning_rate=1, schedule="cosine"), 100)
    assert [round(cosine(step), 3) for step in (0, 50, 100)] == [1, 0.5, 0]


def test_averaged_weights_keep_more_the_longer_a_training_lasts():
    assert [ema_decay(0.99, steps) for steps in (0, 8, 10_000)] == [0.1, 0.5, 0.99]


def test_averaged_weights_follow_the_network():
    torch = pytest.importorskip("torch")
    ema_model, network = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    with torch.no_grad():
        network.weight += 1
    network.running_mean += 4
    network.num_batches_tracked += 9
    update_ema(ema_model, network, 0.75)
    assert ema_model.weight.tolist() == [1.25, 1.25]
    assert ema_model.running_mean.tolist() == [1.0, 1.0]
    assert ema_model.num_batches_tracked == 9
