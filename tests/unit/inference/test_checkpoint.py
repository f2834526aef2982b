"""Model files: what comes back is what was saved, bare weights load, and nothing in a file is ever run."""

import os
import pickle

import msgspec
import pytest

from configs.errors import InputError
from configs.schema import ClassifyConfig
from configs.whole_file import write_whole
from inference.checkpoint import ModelInfo, load_checkpoint, save_checkpoint
from inference.networks import BACKBONES, PREPROCESSING, build_network
from inference.preprocess import Preprocessing

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

INFO = ModelInfo(("mask", "no_mask"), Preprocessing(112, margin=1.3), "MobileNetV3", temperature=1.7)


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path):
    network = build_network("MobileNetV3", 2)
    save_checkpoint(tmp_path / "m.pth", network, INFO)
    loaded, info = load_checkpoint(tmp_path / "m.pth")
    assert info == INFO
    assert not loaded.training
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_bare_state_dict_loads_when_its_classes_are_given(tmp_path, backbone):
    torch.save(build_network(backbone, 3).state_dict(), tmp_path / "bare.pth")
    _, info = load_checkpoint(tmp_path / "bare.pth", ("c", "a", "b"))
    assert info == ModelInfo(("c", "a", "b"), PREPROCESSING[backbone], backbone)


def original_network(backbone, outputs):
    """The networks as the original program builds them, in plain torch code: three outputs, whatever the classes."""
    from torch import nn
    from torchvision import models

    if backbone == "ResNet":
        network = models.resnet50(weights=None)
        network.fc = nn.Linear(2048, outputs)
        return network
    return nn.Sequential(
        nn.Conv2d(3, 64, 5), nn.ReLU(), nn.MaxPool2d(7, 7),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Flatten(),
        nn.Linear(128 * 18 * 18, 512), nn.ReLU(), nn.Linear(512, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, outputs),
    )  # fmt: skip


@pytest.mark.parametrize("names", [("mask", "no_mask"), ("mask", "no_mask", "wrong_mask")])
@pytest.mark.parametrize("backbone", ["BasicCNN", "ResNet"])
def test_a_state_dict_of_the_original_gives_the_softmax_of_plain_torch_code(tmp_path, backbone, names):
    torch.manual_seed(0)
    plain = original_network(backbone, outputs=3).eval()
    torch.save(plain.state_dict(), tmp_path / "original.pth")
    network, info = load_checkpoint(tmp_path / "original.pth", names)
    faces = torch.rand(2, 3, PREPROCESSING[backbone].size, PREPROCESSING[backbone].size)
    with torch.inference_mode():
        expected = torch.softmax(plain(faces)[:, : len(names)], dim=1)
        assert torch.equal(torch.softmax(network(faces) / info.temperature, dim=1), expected)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_network_can_be_named_in_the_options(backbone):
    assert msgspec.convert({"backbone": backbone}, ClassifyConfig).backbone == backbone


def test_a_bare_state_dict_without_class_names_says_how_to_give_them(tmp_path):
    torch.save(build_network("BasicCNN", 3).state_dict(), tmp_path / "bare.pth")
    with pytest.raises(InputError, match="--classes a,b,c"):
        load_checkpoint(tmp_path / "bare.pth")


def test_the_number_of_class_names_must_be_that_of_the_outputs(tmp_path):
    torch.save(build_network("BasicCNN", 3).state_dict(), tmp_path / "bare.pth")
    with pytest.raises(InputError, match=r"3 outputs, but there are 4 class names: a, b, c, d"):
        load_checkpoint(tmp_path / "bare.pth", ("a", "b", "c", "d"))
    save_checkpoint(tmp_path / "m.pth", build_network("MobileNetV3", 2), INFO)
    with pytest.raises(InputError, match=r"has 2 classes, --classes gives 3"):
        load_checkpoint(tmp_path / "m.pth", ("a", "b", "c"))


def test_the_wrong_backbone_is_named(tmp_path):
    torch.save(build_network("BasicCNN", 3).state_dict(), tmp_path / "bare.pth")
    with pytest.raises(InputError, match="weights of BasicCNN, not of ResNet"):
        load_checkpoint(tmp_path / "bare.pth", ("a", "b", "c"), "ResNet")


class Payload:
    def __reduce__(self):
        return (os.mkdir, (self.folder,))


@pytest.mark.parametrize("whole", [True, False], ids=["zip", "plain pickle"])
def test_a_pickle_payload_is_refused_and_does_not_run(tmp_path, whole):
    payload = Payload()
    payload.folder = str(tmp_path / "it ran")
    path = tmp_path / "evil.pth"
    if whole:
        torch.save({"format": "maskstream-checkpoint-1", "weights": payload}, path)
    else:
        path.write_bytes(pickle.dumps(payload, protocol=2))
    with pytest.raises(InputError, match="refused"):
        load_checkpoint(path, ("a", "b"))
    assert not (tmp_path / "it ran").exists()


def zip_of_text(path):
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def cut_off(path):
    torch.save(build_network("MobileNetV3", 2).state_dict(), path)
    path.write_bytes(path.read_bytes()[:50_000])


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("hello"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80"),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"format": "maskstream-checkpoint-1", "info": {"classes": 3}}, path),
        lambda path: torch.save({"a": 1}, path),
        lambda path: torch.save({"12.weight": 1, "12.bias": torch.zeros(2)}, path),
        lambda path: torch.save({"12.weight": torch.zeros(2, 64), "12.bias": torch.zeros(2)}, path),
        zip_of_text,
        cut_off,
    ],
    ids=[
        "text",
        "empty",
        "one byte",
        "list",
        "bad info",
        "no network",
        "no tensors",
        "half a network",
        "zip",
        "cut off",
    ],
)
def test_a_file_that_is_no_model_gives_one_line_with_its_name(tmp_path, write):
    path = tmp_path / "model.pth"
    write(path)
    with pytest.raises(InputError) as refusal:
        load_checkpoint(path, ("a", "b"))
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "m.pth"
    path.write_text("the old one")

    def fill_the_disk(partial):
        partial.write_text("half of the new o")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"m\.pth: cannot be written: .*No space left"):
        write_whole(path, fill_the_disk)
    assert path.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "m.pth", build_network("MobileNetV3", 2), INFO)
