"""Imports point down only; a room that reaches up is found here."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "configs": set(),
    "transport": {"configs"},
    "share": {"transport", "configs"},
    "tell": {"share", "transport", "configs"},
    "run": {"tell", "transport", "configs"},
    "recordings": {"configs"},
    "capture": {"recordings", "transport", "configs"},
    "inference": {"transport", "configs"},
    "events": {"share", "transport", "configs"},
    "overlay": {"events", "recordings", "share", "transport", "configs"},
    "web": {"overlay", "events", "run", "tell", "share", "transport", "configs"},
    "train": {"capture", "inference", "share", "transport", "configs"},
    "export": {"capture", "inference", "transport", "configs"},
    "fleet": {"web", "capture", "overlay", "events", "run", "tell", "transport", "configs"},
    "doctor": {"capture", "inference", "overlay", "web", "run", "transport", "configs"},
    "benchmark": {"capture", "inference", "overlay", "export", "run", "tell", "transport", "configs"},
}


def imported_rooms(path: Path) -> set[str]:
    """The project's rooms that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return {name.split(".")[0] for name in names} & {*MAY_IMPORT, "pipeline", "run_pipeline"}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_rooms_below_it(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        above = imported_rooms(path) - MAY_IMPORT[room] - {room}
        assert not above, f"{path.relative_to(ROOT)} imports {', '.join(above)}"


TRAIN_ORDER = ("data", "synthesis", "score", "session", "classifier", "detector", "verifier")


@pytest.mark.parametrize("place", range(len(TRAIN_ORDER)), ids=TRAIN_ORDER)
def test_a_room_of_train_imports_only_itself_and_rooms_before_it(place):
    """So they make no circle, and none needs a command of train."""
    allowed = {ROOT / "train" / name for name in TRAIN_ORDER[: place + 1]}
    files = list((ROOT / "train" / TRAIN_ORDER[place]).glob("*.py"))
    assert files
    for path in files:
        of_train = {file for file in imported_modules(path) if file.is_relative_to(ROOT / "train")}
        above = [file for file in of_train if file.parent not in allowed]
        assert not above, f"{path.relative_to(ROOT)} imports {', '.join(str(file.relative_to(ROOT)) for file in above)}"


def test_every_room_of_train_is_in_the_order():
    assert {path.parent.name for path in (ROOT / "train").glob("*/__init__.py")} == set(TRAIN_ORDER)


@functools.cache
def imported_modules(path: Path) -> set[Path]:
    """The files of the project that a file imports, anywhere in it, for types only, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            module = ROOT / node.module.replace(".", "/")
            found |= {module / f"{alias.name}.py" for alias in node.names} | {module.with_suffix(".py")}
    return {file for file in found if file.is_file()}


@pytest.mark.parametrize("room", ["inference", "run", "tell"])
def test_no_file_of_a_room_is_reached_again_from_what_it_imports(room):
    """Who needs one of two files that import each other needs to understand both."""
    for file in (ROOT / room).rglob("*.py"):
        reached, waiting = set(), imported_modules(file)
        while waiting:
            reached |= waiting
            waiting = set().union(*map(imported_modules, waiting)) - reached
        assert file not in reached, f"{file.relative_to(ROOT)} is imported by what it imports"


HEAVY_MODULES = {  # classes of heavy libraries: imported where they are used
    "inference.networks.efficient_net",
    "inference.networks.face_ensemble",
    "inference.networks.face_resnet",
    "inference.networks.maskface_net",
    "transport.otlp",
}
LIGHT = [
    path
    for room in ("inference", "run", "tell", "transport")
    for path in (ROOT / room).rglob("*.py")
    if ".".join(path.relative_to(ROOT).with_suffix("").parts) not in HEAVY_MODULES
]


@pytest.mark.parametrize("path", LIGHT, ids=str)
def test_heavy_libraries_are_imported_where_they_are_used(path):
    heavy = {"torch", "torchvision", "onnx", "onnxruntime", "matplotlib", "av", "opentelemetry"}
    top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in top if isinstance(node, ast.ImportFrom) and node.module}
    assert not {name.split(".")[0] for name in names} & heavy
    assert not HEAVY_MODULES & names
