"""What a start imports, told by the names of modules: a busy machine makes any time longer."""

import json
import os
import subprocess
import sys
import typing
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest

import run_pipeline
from configs.imported import imported
from configs.schema import OverlayConfig, PipelineConfig, RunConfig, SourceConfig
from overlay.asides import beside
from pipeline import stages
from run_pipeline import PREPARED, ROOMS
from transport.cores import thread_limits

ROOT = Path(__file__).resolve().parents[2]
THREADS = "import os; assert len(os.listdir('/proc/self/task')) == 1"
ALL_SINKS = ("web", "sqlite:e.db", "webhook:http://door/")


def modules_after(program):
    """The modules that a fresh interpreter has loaded when the program has run."""
    tell = "import json, sys; print(); print(json.dumps([*sys.modules]))"
    command = [sys.executable, "-c", f"try:\n {program}\nexcept SystemExit: pass\n{tell}"]
    environment = os.environ | thread_limits()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_list_of_commands_needs_no_library_but_that_of_command_lines():
    loaded = modules_after("import run_pipeline; run_pipeline.main(['--help'])")
    assert "typer" in loaded
    assert not loaded & {
        "numpy",
        "cv2",
        "zmq",
        "rich",
        "yaml",
        "asyncio",
        "pipeline",
        "transport.frame",
        "train.__main__",
    }


def test_the_supervisor_of_a_run_imports_nothing_that_only_its_workers_or_other_commands_need():
    loaded = modules_after("import pipeline")
    assert {"capture.sources", "overlay.sinks", "run.supervisor"} <= loaded
    of_workers = {"capture.stage", "inference.detect", "inference.classify", "overlay.stage", "web.serve", "av"}
    of_few_runs = {"aiohttp", "asyncio", "ssl", "urllib.request", "importlib.metadata", "doctor", "benchmark", "train"}
    of_fleets = {"run.shard", "run.owned", "run.lease", "tell.account", "web.push_target"}
    assert not loaded & (of_workers | of_few_runs | of_fleets | {"onnxruntime", "torch"})


def test_each_row_of_the_table_names_a_function_that_takes_its_options():
    """The supervisor hears of a name that is wrong from a worker that dies: too late, and in each run."""
    config = PipelineConfig(
        sources=(SourceConfig(source="demo", name="s"),),
        overlay=OverlayConfig(sinks=ALL_SINKS),
        run=RunConfig(status="http://door/"),
    )
    sources, *others = *stages(config), *beside(config, of_files=False)
    rows = [(sources.function, sources.config["s"]), *((row.function, row.config) for row in others)]
    assert len(rows) == 7
    for place, options in rows:
        assert typing.get_type_hints(imported(place))["config"] is type(options)


def test_what_the_fork_server_has_imported_is_what_workers_need_and_no_thread():
    config = PipelineConfig(sources=(SourceConfig(source="demo", name="s"),))
    assert {row.function.partition(":")[0] for row in stages(config)} <= set(PREPARED)
    loaded = modules_after(f"import importlib\n for name in {PREPARED}: importlib.import_module(name)\n {THREADS}")
    assert {"cv2", "onnxruntime", "capture.kinds.demo"} <= loaded
    assert not loaded & {"av", "torch", "aiohttp", "asyncio", "ssl", "matplotlib", "typer", "rich", "pipeline"}


def test_a_stage_that_becomes_ready_imports_none_of_our_rooms_any_more():
    """Each would do so again in each life."""
    prepared = (
        f"import importlib, sys\n for name in {PREPARED}: importlib.import_module(name)\n before = {{*sys.modules}}"
    )
    begin = (
        "import os, configs.schema as c, inference.search, inference.backends, overlay.sinks, capture.sources",
        "from transport.stage import StageContext",
        "inference.search.Search(c.DetectConfig()), inference.backends.open_backend(c.ClassifyConfig())",
        "overlay.sinks.make_sinks(c.OverlayConfig(sinks=('null',)), StageContext())",
        "capture.sources.open_source(c.SourceConfig(source='demo'))",
        "[sys.modules.pop(name) for name in before if name not in ('sys', 'json')]",
    )
    lately = modules_after("\n ".join((prepared, *begin)))
    assert {name for name in lately if name.partition(".")[0] in ROOMS} == set()


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (None, "recordings is missing: install maskstream again"),
        ("/opt/recordings/__init__.py", "/opt/recordings/__init__.py is not maskstream's own: uninstall the package"),
    ],
)
def test_a_room_that_is_missing_or_anothers_is_refused_with_what_to_do(origin, said, monkeypatch, capsys):
    """An editable install from before the room was there finds none; another distribution may have one of its name."""
    found = {"recordings": ModuleSpec("recordings", None, origin=origin) if origin else None}
    monkeypatch.setattr(run_pipeline, "find_spec", lambda name: found[name] if name in found else find_spec(name))
    with pytest.raises(SystemExit) as ended:
        run_pipeline._check_install()
    assert ended.value.code == 1
    assert said in capsys.readouterr().err
