"""What a start imports, told by the names of modules: a busy machine makes any time longer."""

import json
import subprocess
import sys
import typing
from pathlib import Path

from configs.imported import imported
from configs.schema import OverlayConfig, PipelineConfig, SourceConfig
from pipeline import beside, stages

ROOT = Path(__file__).resolve().parents[2]
ALL_SINKS = ("web", "sqlite:e.db", "webhook:http://door/")


def modules_after(program):
    """The modules that a fresh interpreter has loaded when the program has run."""
    tell = "import json, sys; print(); print(json.dumps([*sys.modules]))"
    command = [sys.executable, "-c", f"try:\n {program}\nexcept SystemExit: pass\n{tell}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
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
    assert not loaded & (of_workers | of_few_runs | {"onnxruntime", "torch"})


def test_each_row_of_the_table_names_a_function_that_takes_its_options():
    """The supervisor hears of a name that is wrong from a worker that dies: too late, and in each run."""
    config = PipelineConfig(sources=(SourceConfig(source="demo", name="s"),), overlay=OverlayConfig(sinks=ALL_SINKS))
    sources, *others = *stages(config), *beside(config)
    rows = [(sources.function, sources.config["s"]), *((row.function, row.config) for row in others)]
    assert len(rows) == 6
    for place, options in rows:
        assert typing.get_type_hints(imported(place))["config"] is type(options)
