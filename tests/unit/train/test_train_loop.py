"""The training loop: seeded, stopped and gone on with without a trace, and its best epoch is known."""

import numpy as np
import pytest

from configs.errors import InputError
from inference.preprocess import Preprocessing
from train.classifier.batches import TrainingFaces
from train.classifier.loop import fit, validate
from train.classifier.training import EpochResult, Recipe, Training
from train.score.metrics import ClassScores, Scores
from train.session.process_group import ProcessGroup, process_group
from train.session.state import load_state, save_state

torch = pytest.importorskip("torch")

PREPROCESSING = Preprocessing(12)
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """There is too little work here to share out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def faces():
    """Bright and dark patches: 14 and 26."""
    rng = np.random.default_rng(0)
    labels = (np.arange(40) % 3 == 0).astype(np.int64)
    crops = [rng.normal(90 + 80 * label, 30, (14, 14, 3)).clip(0, 255).astype(np.uint8) for label in labels]
    return TrainingFaces(crops, labels, ("dark", "bright"), {})


def new_training(**options):
    """A network with all that has a memory or draws at random: batch norm, dropout."""
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(400, 2)
    )
    recipe = Recipe(**({"epochs": 4, "batch_size": 16, "learning_rate": 0.003} | options))
    return Training(network, recipe, CPU)


def results_of(training, faces, epochs=None, **options):
    val = (np.stack([crop[1:13, 1:13] for crop in faces.crops]), faces.labels)
    found = []
    for result in fit(training, faces, val, PREPROCESSING, ProcessGroup(CPU), **options):
        found.append((result.loss, result.train_accuracy, result.val_loss, result.val, result.learning_rate))
        if len(found) == epochs:
            break
    return found


def test_training_learns(faces):
    results = results_of(new_training(epochs=6), faces)
    assert results[-1][0] < 0.8 * results[0][0]
    assert results[-1][3].accuracy > 0.8


def test_the_same_seed_gives_the_same_losses_with_and_without_workers(faces):
    first = results_of(new_training(epochs=2), faces)
    assert results_of(new_training(epochs=2), faces) == first
    assert results_of(new_training(epochs=2), faces, workers=2) == first
    assert results_of(new_training(epochs=2, seed=1), faces) != first


EVERYTHING = {
    "optimizer": "adamw",
    "schedule": "cosine",
    "warm_up": 3,
    "ema": 0.9,
    "balance": "weights",
    "label_smoothing": 0.1,
}


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
def test_a_resumed_training_is_the_unbroken_one_to_the_last_bit(faces, tmp_path, options):
    unbroken = new_training(**options)
    expected = results_of(unbroken, faces)
    killed = new_training(**options)
    results_of(killed, faces, epochs=2)
    save_state(tmp_path / "m.state", killed, {"seed": 0}, "f")

    resumed = new_training(**options)
    load_state(tmp_path / "m.state", resumed, {"seed": 0}, "f")
    assert results_of(resumed, faces) == expected[2:]
    for network in ("network", "ema_model"):
        ours, theirs = (getattr(one, network).state_dict() for one in (resumed, unbroken))
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert [one.loss for one in resumed.history] == [one.loss for one in unbroken.history]


def test_a_state_of_another_run_is_refused(tmp_path):
    path, training = tmp_path / "m.state", new_training()
    with pytest.raises(InputError, match="no unfinished run has this name"):
        load_state(path, training, {}, "f")
    save_state(path, training, {"batch_size": 16}, "f")
    with pytest.raises(InputError, match="with --batch-size 16, not 32"):
        load_state(path, training, {"batch_size": 32}, "f")
    with pytest.raises(InputError, match="on other pictures"):
        load_state(path, training, {"batch_size": 16}, "g")
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="not the state of a training run"):
        load_state(path, training, {}, "f")


@pytest.mark.parametrize("options", [{"optimizer": "adamw"}, {"balance": "weights"}, {"label_smoothing": 0.1}])
def test_each_option_changes_what_is_learnt(faces, options):
    assert results_of(new_training(epochs=2, **options), faces)[-1] != results_of(new_training(epochs=2), faces)[-1]


def test_averaged_weights_are_what_is_validated(faces):
    training = new_training(epochs=1, ema=0.9)
    results_of(training, faces)
    weights, averaged = (network.state_dict()["5.weight"] for network in (training.network, training.ema_model))
    start = new_training().network.state_dict()["5.weight"]
    assert 0 < (averaged - start).norm() < (weights - start).norm()
    assert new_training().ema_model is not training.ema_model


def result(epoch, macro_f1):
    return EpochResult(epoch, 0.1, 1.0, 0.5, 1.0, Scores(0.5, macro_f1, {"a": ClassScores(1, 1, 1, 1)}, 0.0), 1.0, 1.0)


def test_the_best_epoch_is_the_first_with_the_highest_macro_f1():
    training = new_training()
    training.history = [result(1, 0.5), result(2, 0.8), result(3, 0.8), result(4, 0.7)]
    assert training.best.epoch == 2


def test_training_stops_when_patience_is_at_its_end():
    training = new_training(epochs=9, patience=2)
    for number, (macro_f1, finished) in enumerate(
        [(0.5, False), (0.4, False), (0.6, False), (0.6, False), (0.5, True)]
    ):
        training.history.append(result(number + 1, macro_f1))
        assert training.finished == finished


def test_training_that_diverges_says_what_to_change(faces):
    with pytest.raises(InputError, match=r"diverged in epoch \d: --learning-rate 1e\+37 is too large"):
        results_of(new_training(learning_rate=1e37), faces)


def test_validation_is_of_the_logits():
    loss, scores, temperature, biases, _ = validate(
        np.float32([[4, 0], [0, 4], [4, 0]]), np.array([0, 1, 1]), ("a", "b")
    )
    assert scores.accuracy == pytest.approx(2 / 3)
    assert loss == pytest.approx(np.log1p(np.exp(-4)) + 4 / 3, abs=1e-4)
    assert temperature > 1
    assert biases[0] == 0


def test_a_single_process_is_a_group_of_one(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group("cpu") as group:
        assert group == ProcessGroup(CPU, 0, 1)
        assert group.is_main_process
        assert group.all_reduce([1.5]) == [1.5]
        assert group.broadcast("all") == "all"


def test_in_a_group_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="use --device cuda"), process_group("cuda:1"):
        pass
