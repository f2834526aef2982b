"""Two processes that train together learn what one learns alone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from inference.preprocess import Preprocessing  # noqa: E402
from train.classifier.batches import TrainingFaces  # noqa: E402
from train.classifier.loop import fit  # noqa: E402
from train.classifier.training import Recipe, Training  # noqa: E402
from train.session.process_group import process_group  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def losses_and_weights():
    """Of a network without dropout and batch norm: these differ by nature, from process to process."""
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2))
    rng = np.random.default_rng(0)
    labels = np.arange(37) % 2  # batches of 13, 12 and 12: the shares of two processes are not alike
    crops = [rng.normal(90 + 80 * label, 30, (14, 14, 3)).clip(0, 255).astype(np.uint8) for label in labels]
    val = (np.stack([crop[1:13, 1:13] for crop in crops]), labels)
    with process_group("cpu") as group:
        training = Training(network, Recipe(epochs=2, batch_size=13, learning_rate=0.003), group.device)
        results = list(fit(training, TrainingFaces(crops, labels, ("a", "b"), {}), val, Preprocessing(12), group))
        weights = torch.cat([weight.flatten() for weight in network.parameters()]).detach()
        return group.is_main_process, [(one.loss, one.train_accuracy, one.val_loss) for one in results], weights


def test_two_processes_learn_what_one_does(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", __file__]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command.append(str(tmp_path / "pair.pt"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    pair = torch.load(tmp_path / "pair.pt", weights_only=True)
    _, losses, weights = losses_and_weights()
    np.testing.assert_allclose(pair["losses"], losses, rtol=1e-4)
    torch.testing.assert_close(pair["weights"], weights, rtol=1e-3, atol=1e-5)


def threads() -> list[str]:
    return [name.read_text().strip() for name in Path("/proc/self/task").glob("*/comm")]


if __name__ == "__main__":
    is_main_process, losses, weights = losses_and_weights()
    # one that lives on ends the process with SIGABRT now and then
    assert not [name for name in threads() if "gloo" in name], threads()
    if is_main_process:
        torch.save({"losses": losses, "weights": weights}, sys.argv[1])
