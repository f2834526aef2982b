"""A model repository: versions count up, what others made is left alone, and the file says what the model says."""

import json
from pathlib import Path

import numpy as np
import pytest
from served_models import with_outputs

from configs.errors import InputError
from configs.schema import ClassifyConfig
from export.__main__ import export
from export.faces import synthetic_faces
from export.triton_repository import publish
from inference.backends import SHIPPED_INT8, SHIPPED_MODEL, open_backend
from inference.preprocess import prepare

pytest.importorskip("onnx")


def logits(model, crops):
    backend = open_backend(ClassifyConfig(model=str(model)))
    return backend.logits(prepare(crops, backend.preprocessing))


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_model_that_ships_becomes_a_repository(tmp_path, capsys):
    export(triton=tmp_path / "repository", as_json=True)
    folder = tmp_path / "repository" / "mask"
    assert sorted(tree(folder)) == ["1/model.onnx", "config.pbtxt", "labels.txt"]
    assert (folder / "labels.txt").read_text() == "mask\nno_mask\nwrong_mask\n"
    config = (folder / "config.pbtxt").read_text()
    assert 'name: "pixels", data_type: TYPE_UINT8, dims: [ 112, 112, 3 ]' in config
    assert 'name: "logits", data_type: TYPE_FP32, dims: [ 3 ]' in config
    assert "dynamic_batching { }" in config
    crops = synthetic_faces(9).crops
    np.testing.assert_allclose(logits(folder / "1" / "model.onnx", crops), logits(SHIPPED_INT8, crops), atol=1e-4)
    out = capsys.readouterr().out.splitlines()
    assert f"--set classify.model={folder / '1' / 'model.onnx'} --set classify.remote=http://HOST:8000/mask" in out[2]
    assert json.loads(out[-1])["version"] == 1


def test_versions_count_up_and_lines_that_were_changed_stay(tmp_path):
    first = publish(SHIPPED_INT8, tmp_path, "mask")
    config = tmp_path / "mask" / "config.pbtxt"
    config.write_text(config.read_text() + "instance_group [ { count: 2 } ]\n")
    again = publish(SHIPPED_INT8, tmp_path, "mask")
    assert (again.version, again.added, again.model) == (1, False, first.model)
    second = publish(SHIPPED_MODEL, tmp_path, "mask")
    assert (second.version, second.added) == (2, True)
    (tmp_path / "mask" / "9").mkdir()  # another tool's, or one whose files were removed
    assert publish(SHIPPED_INT8, tmp_path, "mask").version == 10
    assert config.read_text().endswith("instance_group [ { count: 2 } ]\n")
    assert Path(first.model).is_file()


def test_a_file_that_takes_pixels_already_is_published_as_it_is(tmp_path):
    made = Path(publish(SHIPPED_INT8, tmp_path / "a", "mask").model)
    assert Path(publish(made, tmp_path / "b", "mask").model).read_bytes() == made.read_bytes()


def foreign(folder):
    (folder / "mask" / "1").mkdir(parents=True)
    (folder / "mask" / "config.pbtxt").write_text('name: "mask"\nplatform: "tensorrt_plan"\n')


def unlike(folder):
    (folder / "mask").mkdir(parents=True)
    (folder / "mask" / "holiday.jpg").write_text("a picture")


def file(folder):
    folder.write_text("no folder")


@pytest.mark.parametrize(
    ("there", "name", "reason"),
    [
        (foreign, "mask", "its mask was not made by maskstream; choose another --triton-name"),
        (unlike, "mask", "its mask was not made by maskstream"),
        (file, "mask", "is a file, not a folder"),
        (Path.mkdir, "../mask", "--triton-name '../mask': may have letters"),
        (Path.mkdir, "1 2", "--triton-name '1 2'"),
    ],
)
def test_what_is_not_ours_is_left_as_it_is(tmp_path, there, name, reason):
    repository = tmp_path / "repository"
    there(repository)
    before = tree(tmp_path)
    with pytest.raises(InputError, match=reason):
        publish(SHIPPED_INT8, repository, name)
    assert tree(tmp_path) == before


def test_a_model_of_other_classes_is_no_new_version(tmp_path):
    made = Path(publish(SHIPPED_INT8, tmp_path / "a", "mask").model)
    two = with_outputs(made, tmp_path / "two.onnx", [0, 1])
    described = with_classes(two, ("mask", "no_mask"))
    publish(SHIPPED_INT8, tmp_path / "b", "mask")
    before = tree(tmp_path / "b")
    with pytest.raises(InputError, match="holds a model with classes mask, no_mask, wrong_mask and faces of 112 px"):
        publish(described, tmp_path / "b", "mask")
    assert tree(tmp_path / "b") == before
    assert publish(described, tmp_path / "b", "two").version == 1


def with_classes(model, classes):
    import onnx

    content = onnx.load(model)
    for entry in content.metadata_props:
        if entry.key == "maskstream":
            entry.value = json.dumps(json.loads(entry.value) | {"classes": classes})
    onnx.save(content, model)
    return model


def test_a_model_that_others_made_is_refused(tmp_path):
    import onnx

    content = onnx.load(SHIPPED_INT8)
    del content.metadata_props[:]
    onnx.save(content, tmp_path / "foreign.onnx")
    with pytest.raises(InputError, match=r"foreign\.onnx: was not written by maskstream export"):
        publish(tmp_path / "foreign.onnx", tmp_path / "repository", "mask")
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"int8": True}, "--int8: is for a checkpoint, .pth; the model that ships is exported already"),
        ({"output": Path("m.onnx")}, "--output: is for a checkpoint"),
        ({"model": Path("none.onnx")}, "none.onnx: no such model file"),
    ],
)
def test_options_of_checkpoints_are_refused_for_exported_files(tmp_path, options, line):
    with pytest.raises(InputError, match=line):
        export(triton=tmp_path / "repository", **options)
    assert not (tmp_path / "repository").exists()


def test_without_a_model_there_is_nothing_to_export():
    with pytest.raises(InputError, match=r"MODEL: give the checkpoint, \.pth"):
        export()
