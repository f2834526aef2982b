"""Options: from YAML and the command line, and refused with file, line and path."""

from pathlib import Path

import pytest

from configs.errors import InputError
from configs.load import as_yaml, load_config
from configs.schema import PipelineConfig, SourceConfig

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs").glob("*.yaml"))


@pytest.fixture
def yaml_file(tmp_path):
    def write(text):
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_examples_that_ship_are_valid(path):
    assert load_config(path) != PipelineConfig()


def test_settings_come_over_the_file_and_flags_over_both(yaml_file):
    path = yaml_file("detect: {width: 200, neighbours: 2}\nclassify: {device: cuda}\n")
    options = load_config(path, ["detect.width=300"], {"classify": {"device": "cpu"}})
    assert (options.detect.width, options.detect.neighbours, options.classify.device) == (300, 2, "cpu")


def test_sources_of_the_command_line_replace_those_of_the_file(yaml_file):
    path = yaml_file("sources: [{source: 0}, {source: a.mp4}]\n")
    assert [s.source for s in load_config(path).sources] == ["0", "a.mp4"]
    given = {"sources": (["demo"], {"loop": True})}
    assert load_config(path, (), given).sources == (SourceConfig(source="demo", loop=True),)
    given = {"sources": ([], {"loop": True})}
    assert [s.loop for s in load_config(path, (), given).sources] == [True, True]


def test_all_options_written_as_yaml_are_the_same_options(tmp_path):
    options = PipelineConfig(sources=(SourceConfig(source="rtsp://a:b@c/#d"), SourceConfig(source="0", mirror=False)))
    (tmp_path / "all.yaml").write_text(as_yaml(options))
    assert load_config(tmp_path / "all.yaml") == options


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("detect:\n  widht: 3\n", "c.yaml:2: detect.widht: unknown option, did you mean width?"),
        ("sources:\n  - source: demo\n    nme: x\n", "c.yaml:3: sources[0].nme: unknown option, did you mean name?"),
        ("detct: {}\n", "c.yaml:1: detct: unknown option, did you mean detect?"),
        ("detect:\n  width: wide\n", "c.yaml:2: detect.width: Expected `int`, got `str`"),
        ("\n\nrun:\n  cores: -1\n", "c.yaml:4: run.cores: Expected `int` >= 0"),
        ("sources: [{name: x}]\n", "sources[0]: Object missing required field `source`"),
        ("a: [\n", "c.yaml:2: not YAML"),
        ("- 1\n", "must be sections"),
        ("detect: !!python/object/apply:os.system [ls]\n", "not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_path(yaml_file, text, said):
    with pytest.raises(InputError) as error:
        load_config(yaml_file(text))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("detect.widht=3", "detect.widht: unknown option, did you mean width?"),
        ("detect.width", "write it as section.key=value"),
        ("width=3", "write it as section.key=value"),
        ("detect.width.x=3", "detect.width"),
    ],
)
def test_a_wrong_setting_is_refused(setting, said):
    with pytest.raises(InputError, match=r"detect|section") as error:
        load_config(None, [setting])
    assert said in str(error.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nowhere\.yaml: No such file"):
        load_config(tmp_path / "nowhere.yaml")
