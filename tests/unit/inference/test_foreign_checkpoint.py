"""Checkpoints of other training programs: their weights and class names are found, objects in them never unpickled."""

import argparse
from pathlib import PosixPath

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from configs.errors import InputError  # noqa: E402
from configs.schema import ClassifyConfig  # noqa: E402
from inference.backends import open_backend  # noqa: E402
from inference.checkpoint import load_checkpoint, read_weights  # noqa: E402
from inference.networks import build_network  # noqa: E402

NAMES = ("bare", "mask")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network("FaceResNet", 2)


@pytest.fixture(scope="module")
def bare(network):
    return network.state_dict()


def prefixed(weights, prefix):
    return {prefix + key: value for key, value in weights.items()}


def other(weights):
    return {key: value + 1 if value.is_floating_point() else value for key, value in weights.items()}


SAVED = {
    "DataParallel": lambda bare: prefixed(bare, "module."),
    "torch.compile": lambda bare: prefixed(bare, "_orig_mod."),
    "both": lambda bare: prefixed(bare, "module._orig_mod."),
    "both, the other way": lambda bare: prefixed(bare, "_orig_mod.module."),
    "a class around it": lambda bare: {**prefixed(bare, "net.model."), "criterion.weight": torch.ones(2)},
    "state_dict": lambda bare: {"state_dict": bare, "epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
    "model_state_dict": lambda bare: {"model_state_dict": prefixed(bare, "module."), "loss": 0.5},
    "model": lambda bare: {"model": bare, "scheduler": None},
    "within": lambda bare: {"checkpoint": {"model": {"state_dict": bare}}},
    "averaged": lambda bare: {**prefixed(bare, "module."), "n_averaged": torch.tensor(7)},
    "averaged beside plain": lambda bare: {"state_dict": other(bare), "state_dict_ema": bare},
    "averaged in Lightning": lambda bare: {"state_dict": prefixed(other(bare), "net.") | prefixed(bare, "ema_net.")},
    "two": lambda bare: {"best_model": bare, "last_model": other(bare)},
    "NumPy's numbers": lambda bare: {"state_dict": bare, "best": np.float64(0.5), "losses": np.arange(3.0)},
    "options": lambda bare: {"model": bare, "args": argparse.Namespace(lr=0.1, folder=PosixPath("x"))},
    "half precision": lambda bare: {key: value.half() for key, value in bare.items()},
    "without counters": lambda bare: {key: value for key, value in bare.items() if "num_batches" not in key},
}  # fmt: skip


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED)
def test_the_weights_are_found_wherever_a_program_put_them(tmp_path, bare, save, caplog):
    torch.save(save(bare), tmp_path / "m.pth")
    loaded, info = load_checkpoint(tmp_path / "m.pth", NAMES)
    assert info.classes == NAMES
    assert info.backbone == "FaceResNet"
    for key, value in loaded.state_dict().items():
        torch.testing.assert_close(value, bare[key], rtol=1e-3, atol=1e-3)
    assert ("holds several networks" in caplog.text) == (
        save in (SAVED["two"], SAVED["averaged beside plain"], SAVED["averaged in Lightning"])
    )


def test_a_training_starts_from_them_too(tmp_path, bare):
    torch.save({"state_dict": prefixed(bare, "module.")}, tmp_path / "m.pth")
    assert read_weights(tmp_path / "m.pth").keys() == bare.keys()


@pytest.mark.parametrize(
    "beside",
    [
        {"hyper_parameters": {"class_names": ["bare", "mask"]}},
        {"class_to_idx": {"mask": 1, "bare": 0}},
        {"meta": {"CLASSES": ("bare", "mask")}},
        {"config": {"id2label": {0: "bare", 1: "mask"}}},
        {"args": argparse.Namespace(classes=["bare", "mask"])},
        {"labels": ["one", "two", "three"], "names": ["bare", "mask"]},
    ],
    ids=str,
)
def test_class_names_that_are_simply_there_are_taken_and_said(tmp_path, bare, caplog, beside):
    torch.save({"state_dict": bare} | beside, tmp_path / "m.ckpt")
    backend = open_backend(ClassifyConfig(model=str(tmp_path / "m.ckpt")))
    assert backend.classes == NAMES
    assert "takes its class names from " in caplog.text
    assert open_backend(ClassifyConfig(model=str(tmp_path / "m.ckpt"), classes=("a", "b"))).classes == ("a", "b")


@pytest.mark.parametrize(
    "within", [lambda network: network, lambda network: {"model": network}], ids=["it", "in a dict"]
)
def test_a_pickled_module_is_never_loaded_and_the_line_says_how_to_save_it(tmp_path, network, within):
    torch.save(within(network), tmp_path / "m.pth")
    with pytest.raises(InputError, match=r"m\.pth: refused: it holds \S+, .*torch\.save\(model\.state_dict\(\)"):
        load_checkpoint(tmp_path / "m.pth", NAMES)


@pytest.mark.filterwarnings("ignore:.*is deprecated")
def test_programs_are_named(tmp_path, network):
    program = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    program.save(str(tmp_path / "m.pt"))
    with pytest.raises(InputError, match=r"m\.pt: is TorchScript, .*torch\.jit\.load\('m\.pt'\)\.state_dict\(\)"):
        load_checkpoint(tmp_path / "m.pt", NAMES)
    exported = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(exported, tmp_path / "m.pt2")
    with pytest.raises(InputError, match=r"m\.pt2: is a program of torch\.export"):
        load_checkpoint(tmp_path / "m.pt2", NAMES)


def test_safetensors_are_named_with_what_to_do(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    for load in (load_checkpoint, lambda path: open_backend(ClassifyConfig(model=str(path)))):
        with pytest.raises(InputError, match=r"m\.safetensors: .*torch\.save\(safetensors\.torch\.load_file\("):
            load(tmp_path / "m.safetensors")
