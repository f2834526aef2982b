"""What libraries read from the environment is set before any of our modules can import them."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROOMS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
READERS = {"onnxruntime", "torch", "torchvision"}


def imported(nodes):
    """The top-level packages that these statements import."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_each_room_sets_it_before_its_modules_can_import_anything():
    assert {"configs", "inference", "train", "export", "transport", "benchmark"} <= set(ROOMS)
    for room in ROOMS:
        first = next(
            node
            for node in ast.parse((ROOT / room / "__init__.py").read_text()).body
            if isinstance(node, ast.Import | ast.ImportFrom)
        )
        assert ast.unparse(first) == "import configs.environment", room


def test_what_lies_in_no_room_imports_such_a_library_only_where_it_is_used():
    """Its imports at the top are of rooms, which set it."""
    for path in ROOT.glob("*.py"):
        tree = ast.parse(path.read_text())
        assert not imported(tree.body) & READERS, path
        if imported(ast.walk(tree)) & READERS:
            assert imported(tree.body) & set(ROOMS), path


def test_the_environment_itself_imports_nothing_that_could_read_it():
    assert imported(ast.parse((ROOT / "configs/environment.py").read_text()).body) == {"__future__", "os"}


@pytest.mark.parametrize("given", [{}, {"ORT_DISABLE_TELEMETRY": "0", "OMP_WAIT_POLICY": "ACTIVE"}], ids=str)
def test_a_process_and_what_it_starts_have_it(given):
    """The telemetry is off whatever was set; how threads wait is the user's to choose."""
    told = "import os; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['OMP_WAIT_POLICY'], flush=True)"
    script = f"import inference, subprocess, sys; subprocess.run([sys.executable, '-c', {told!r}])"
    names = ("ORT_DISABLE_TELEMETRY", "OMP_WAIT_POLICY")
    environment = {key: value for key, value in os.environ.items() if key not in names} | given
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["1", given.get("OMP_WAIT_POLICY", "PASSIVE")], done.stderr


@pytest.mark.parametrize(
    "name", ["Dockerfile", "Dockerfile.cuda", "compose.yaml", "deploy/maskstream.service"], ids=lambda name: name
)
def test_images_and_unit_have_it_for_whatever_else_runs_there(name):
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    assert any("ORT_DISABLE_TELEMETRY" in line and line.rstrip('" ').endswith("1") for line in lines)
