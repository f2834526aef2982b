"""Options: from YAML and the command line, and refused with file, line and path."""

import re
from pathlib import Path

import pytest

from configs.errors import InputError
from configs.load import load_config
from configs.printed import as_yaml
from configs.removed import REMOVED
from configs.schema import OverlayConfig, PipelineConfig, SourceConfig, WebConfig

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
    path = yaml_file("detect: {width: 200, every: 2}\nclassify: {device: cuda}\n")
    options = load_config(path, ["detect.width=300"], {"classify": {"device": "cpu"}})
    assert (options.detect.width, options.detect.every, options.classify.device) == (300, 2, "cpu")


@pytest.mark.parametrize("path", REMOVED)
def test_an_option_that_was_removed_is_told_with_its_line_and_what_to_do(yaml_file, path):
    section, _, name = path.rpartition(".")
    with pytest.raises(InputError, match=rf"c\.yaml:2: {re.escape(path)}: was removed: .+") as refused:
        load_config(yaml_file(f"{section}:\n  {name}: 2\n"))
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=rf"--set {re.escape(path)}: was removed: "):
        load_config(None, [f"{path}=2"])


def test_sources_of_the_command_line_replace_those_of_the_file(yaml_file):
    path = yaml_file("sources: [{source: 0}, {source: a.mp4}]\n")
    assert [s.source for s in load_config(path).sources] == ["0", "a.mp4"]
    given = {"sources": (["demo"], {"loop": True})}
    assert load_config(path, (), given).sources == (SourceConfig(source="demo", loop=True),)
    given = {"sources": ([], {"loop": True})}
    assert [s.loop for s in load_config(path, (), given).sources] == [True, True]


def test_all_options_written_as_yaml_are_the_same_options(tmp_path):
    sources = ("rtsp://a:${PW}@c/?token=${T}", "${CAMERA}", "file:/run/secrets/camera", "rtsp://ü/ #", "0")
    options = PipelineConfig(
        sources=tuple(SourceConfig(source=source, mirror=False) for source in sources),
        overlay=OverlayConfig(sinks=("file:/x/out.mp4", "mqtt://${LOGIN}@h/t", "webhook:https://a:${file:/x}@h/")),
        web=WebConfig(token="file:/run/secrets/token"),
    )
    (tmp_path / "all.yaml").write_text(as_yaml(options))
    assert load_config(tmp_path / "all.yaml", look_up=False) == options


def test_secrets_are_not_written_and_what_stands_for_them_is_not_taken(tmp_path):
    options = PipelineConfig(
        sources=(SourceConfig(source="rtsp://me:open s3cret@c/?key=s3cret"),),
        overlay=OverlayConfig(sinks=("mqtt://me:s3cret@h/t",)),
        web=WebConfig(token="s3cret-s3cret"),
    )
    text = as_yaml(options)
    assert "s3cret" not in text
    assert "source: rtsp://***@c/?key=***" in text
    assert text.startswith("# *** stands for a secret that is not printed.")
    (tmp_path / "all.yaml").write_text(text)
    with pytest.raises(InputError, match=r"all\.yaml:4: sources\[0\]\.source: \*\*\* stands for a secret"):
        load_config(tmp_path / "all.yaml")


@pytest.mark.parametrize("password", ["${", "pa${s3cret", "${s3cret-x}", "$${s3cret}", "${}"])
def test_a_password_that_looks_like_a_reference_is_not_printed(password):
    options = PipelineConfig(
        sources=(SourceConfig(source=f"rtsp://s3cret:{password}@c/"),), web=WebConfig(token=f"s3cret{password}")
    )
    assert "source: rtsp://***@c/  #" in as_yaml(options)
    assert "s3cret" not in as_yaml(options)


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    """Variables, and a secret file as Docker mounts it."""
    monkeypatch.setenv("PW", "p@s/s#w?o:r d%41")
    monkeypatch.setenv("LOGIN", "me:a@b")
    monkeypatch.setenv("CAMERA", "rtsp://me:pw@door/live")
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "secret").write_text("from a file\n")
    return tmp_path


QUOTED = "p%40s%2Fs%23w%3Fo%3Ar%20d%2541"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("sources.0.source=rtsp://me:${PW}@door/live", f"rtsp://me:{QUOTED}@door/live"),
        ("sources.0.source=rtsp://${LOGIN}@door/live?key=${PW}&x=1", f"rtsp://me:a%40b@door/live?key={QUOTED}&x=1"),
        ("sources.0.source=${CAMERA}", "rtsp://me:pw@door/live"),
        ("sources.0.source=http://me:${file:DIR/secret}@door/", "http://me:from%20a%20file@door/"),
        ("sources.0.source=file:DIR/secret", "from a file"),
        ("sources.0.source=films/$${PW}.mp4", "films/${PW}.mp4"),
        ("overlay.sinks.0=mqtts://me:${PW}@h/t", f"mqtts://me:{QUOTED}@h/t"),
        ("overlay.sinks.0=file:DIR/secret", "from a file"),
        ("overlay.sinks.0=file:DIR/out.mp4", "file:DIR/out.mp4"),
        ("overlay.sinks.0=webhook:https://h/${PW}", "webhook:https://h/p@s/s#w?o:r d%41"),
        ("web.token=${PW}", "p@s/s#w?o:r d%41"),
        ("web.token=file:DIR/secret", "from a file"),
        ("classify.model=${PW}.onnx", "p@s/s#w?o:r d%41.onnx"),
        ("classify.classes=['${LOGIN}', b]", "me:a@b"),
    ],
)
@pytest.mark.parametrize("way", ["setting", "file"])
def test_references_are_looked_up_in_every_text(secrets, yaml_file, setting, value, way):
    setting, value = setting.replace("DIR", str(secrets)), value.replace("DIR", str(secrets))
    path, text = setting.split("=", 1)
    section, *steps = path.split(".")
    if way == "setting":
        options = load_config(None, [setting])
    else:
        text = text if text.startswith("[") else f"'{text}'"
        nested = f"[{{source: {text}}}]" if section == "sources" else f"{{{steps[0]}: {text}}}"
        nested = f"{{sinks: [{text}]}}" if "sinks" in steps else nested
        options = load_config(yaml_file(f"{section}: {nested}"))
    found = getattr(options, section)
    for step in steps:
        found = found[int(step)] if step.isdecimal() else getattr(found, step)
    assert (found[0] if isinstance(found, tuple) else found) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rtsp://me:${NONE}@door/", "c.yaml:3: sources[0].source: the variable NONE is not set"),
        ("rtsp://me:${EMPTY}@door/", "c.yaml:3: sources[0].source: the variable EMPTY is empty"),
        ("rtsp://me:pa${ss@door/", "c.yaml:3: sources[0].source: a ${ without its }"),
        ("rtsp://me:${PW:-x}@door/", "c.yaml:3: sources[0].source: between ${ and } must stand a variable's name"),
        ("file:/nowhere/x", "c.yaml:3: sources[0].source: cannot read /nowhere/x: No such file or directory"),
        ("${file:/nowhere/x}", "c.yaml:3: sources[0].source: cannot read /nowhere/x: No such file or directory"),
        ("file:/etc", "c.yaml:3: sources[0].source: cannot read /etc: Is a directory"),
        ("file:/dev/null", "c.yaml:3: sources[0].source: /dev/null is empty"),
        ("file:/dev/zero", "c.yaml:3: sources[0].source: cannot read /dev/zero: it holds no secret"),
    ],
)
def test_a_reference_to_nothing_is_refused_with_its_line(secrets, yaml_file, text, said):
    path = yaml_file(f"sources:\n  - name: a\n    source: '{text}'\n")
    with pytest.raises(InputError) as error:
        load_config(path)
    assert str(error.value).removeprefix(f"{secrets}/").startswith(said)
    load_config(path, look_up=False)  # for --print-config


def test_a_flag_or_setting_that_refers_to_nothing_does_not_name_the_file(yaml_file):
    path = yaml_file("web: {token: abcdefgh}\n")
    with pytest.raises(InputError, match=r"^--set web\.token: the variable NONE is not set$"):
        load_config(path, ["web.token=${NONE}"])
    with pytest.raises(InputError, match=r"^web\.token: the variable NONE is not set$"):
        load_config(path, (), {"web": {"token": "${NONE}"}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("detect:\n  widht: 3\n", "c.yaml:2: detect.widht: unknown option, did you mean width?"),
        ("sources:\n  - source: demo\n    nme: x\n", "c.yaml:3: sources[0].nme: unknown option, did you mean name?"),
        ("detct: {}\n", "c.yaml:1: detct: unknown option, did you mean detect?"),
        ("detect:\n  width: wide\n", "c.yaml:2: detect.width: Invalid enum value 'wide': give a number or auto"),
        ("overlay: {privacy: x}\n", "overlay.privacy: Invalid enum value 'x': give none or blur or pixelate"),
        ("detect:\n  threads: many\n", "c.yaml:2: detect.threads: Expected `int`, got `str`"),
        ("\n\nrun:\n  cores: -1\n", "c.yaml:4: run.cores: Expected `int` >= 0"),
        ("sources: [{name: x}]\n", "sources[0]: Object missing required field `source`"),
        ("a: [\n", "c.yaml:2: not YAML"),
        ("- 1\n", "must be sections"),
        ("detect:\n  width: 200\n  width: 300\n", "c.yaml:3: width is given twice, first in line 2: remove one"),
        ("run: {cores: 1}\ndetect: {}\nrun: {}\n", "c.yaml:3: run is given twice, first in line 1"),
        ("sources: [{source: a, source: b}]\n", "c.yaml:1: source is given twice"),
        ("sources: {source: demo}\n", "c.yaml:1: sources: Expected `array`, got `object`"),
        ("sources: [demo]\n", "c.yaml:1: sources[0]: Expected `object`, got `str`"),
        ("detect: [1]\n", "c.yaml:1: detect: Expected `object`, got `array`"),
        ("1: {}\n", "options"),
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
        ("sources.tickets=3", "--set sources.tickets: tickets is no place in this list: 0 adds the first one"),
        ("sources.1.tickets=3", "--set sources.1.tickets: 1 is no place in this list: 0 adds the first one"),
        ("sources.-1.tickets=3", "--set sources.-1.tickets: -1 is no place in this list"),
        ("sources.0.tickets=3", "sources[0]: Object missing required field `source`"),
        ("sources.0=demo", "--set sources[0]: Expected `object`, got `str`"),
        ("overlay.sinks.0.x=3", "overlay.sinks"),
        ("detect.width={a: 1, a: 2}", "--set detect.width: line 1: a is given twice"),
    ],
)
def test_a_wrong_setting_is_refused(setting, said):
    with pytest.raises(InputError, match=r"detect|section|sources|sinks") as error:
        load_config(None, [setting])
    assert said in str(error.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_settings_reach_into_lists(yaml_file):
    path = yaml_file("sources: [{source: a.mp4}, {source: b.mp4, tickets: 2}]\noverlay: {sinks: [null, window]}\n")
    options = load_config(path, ["sources.1.tickets=3", "sources[0].loop=true", "overlay.sinks.0=web"])
    assert [(s.tickets, s.loop) for s in options.sources] == [(None, True), (3, False)]
    assert options.overlay.sinks == ("web", "window")
    assert load_config(path).overlay.sinks == ("null", "window")
    options = load_config(None, ["sources.0.tickets=3", "sources.1.source=7"], {"sources": (["demo"], {})})
    assert [(s.source, s.tickets) for s in options.sources] == [("demo", 3), ("7", None)]


@pytest.mark.parametrize("text", ["sources: {source: demo}", "sources: [{source: demo, tikets: 3}]", "sources: 3"])
def test_sources_of_a_file_that_are_replaced_must_be_right_too(yaml_file, text):
    with pytest.raises(InputError, match=r"c\.yaml:1: sources"):
        load_config(yaml_file(text), (), {"sources": (["demo"], {})})


def test_an_empty_section_is_one_with_nothing_changed(yaml_file):
    path = yaml_file("sources:\ndetect:\n  # width: 200\nclassify:\n")
    assert load_config(path) == PipelineConfig()
    assert load_config(path, (), {"detect": {"width": 200}}).detect.width == 200


@pytest.mark.parametrize("text", ["0123", "yes", "~", "a #b", "[x", "12345678"])
def test_a_setting_of_a_text_is_taken_as_it_is(text):
    assert load_config(None, [f"web.token={text}"]).web.token == text
    assert load_config(None, [f"sources.0.source={text}"]).sources[0].source == text


def test_an_alias_may_use_a_section_again(yaml_file):
    path = yaml_file("sources:\n  - &a {source: demo, loop: true}\n  - *a\n  - {<<: *a, name: b}\n")
    assert [(s.loop, s.name) for s in load_config(path).sources] == [(True, ""), (True, ""), (True, "b")]
