"""An image of maskstream for tests, without a registry: this interpreter, its packages, this tree.

It is what Dockerfile makes in what counts: the entry point, user 1000, a /data that is the user's, `python` in PATH.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from program import ROOT

CODE, PACKAGES, BIN = "opt/maskstream", "opt/packages", "opt/bin"
CHANGES = (  # of `docker import`
    f"ENV PATH=/{BIN}",
    f"ENV PYTHONPATH=/{CODE}:/{PACKAGES}",
    "ENV ORT_DISABLE_TELEMETRY=1",
    "USER 1000",
    "WORKDIR /data",
    'ENTRYPOINT ["maskstream"]',
)
_UNUSED = {"__pycache__", "test", "tests", "site-packages", "idlelib", "ensurepip", "tkinter", "lib2to3", "pydoc_data"}
_PROGRAM = "import run_pipeline; run_pipeline.main()"


def make(tar: Path, extra: dict[str, Path]) -> None:
    """Write the root file system, with these files beside it: by their paths in the image, without the first slash."""
    interpreter, library = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    packages = [(path, source) for found in _closure("maskstream") for path, source in _files(found)]
    code = [(f"{CODE}/{name}", ROOT / name) for name in _git_files()]
    modules = [(str(path).lstrip("/"), path) for path in _walk(library)]
    with tarfile.open(tar, "w", dereference=True) as root:
        for path in ("data", "tmp", "proc", "sys", "dev", "etc", "run/secrets", "etc/maskstream"):
            _folder(root, path, uid=1000 if path == "data" else 0)
        _text(root, "etc/passwd", "root:x:0:0::/:/none\nwatcher:x:1000:1000::/data:/none\n")
        _text(root, f"{BIN}/maskstream", f"#!{interpreter} -P\n{_PROGRAM}\n", 0o755)
        _link(root, f"{BIN}/python", str(interpreter))
        libraries = _libraries(interpreter, {path for _, path in (*packages, *modules) if ".so" in path.suffixes})
        machine = [(str(path).lstrip("/"), path) for path in (interpreter, *libraries)]
        for name, source in {**dict([*packages, *code, *modules, *machine]), **extra}.items():
            root.add(source, name, recursive=False, filter=_readable)


def _closure(name: str) -> list[Distribution]:
    """The installed distributions that a light install of this one has."""
    found: dict[str, Distribution] = {}
    names = [name]
    while names:
        one = distribution(names.pop())
        if found.setdefault(one.name, one) is not one:
            continue
        needed = [Requirement(text) for text in one.requires or []]
        names += [need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    return list(found.values())


def _files(found: Distribution) -> Iterator[tuple[str, Path]]:
    for file in found.files or []:
        path = Path(str(file.locate()))
        if path.is_file() and path.suffix != ".pyc" and not str(file).startswith("..") and path.suffix != ".pth":
            yield f"{PACKAGES}/{file}", path


def _git_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.split("\0") if name and not name.startswith(("tests/", "docs/", "."))]
    return [name for name in names if (ROOT / name).is_file()]


def _walk(folder: Path) -> Iterator[Path]:
    for parent, names, files in os.walk(folder):
        names[:] = [name for name in names if name not in _UNUSED and not name.startswith("config-")]
        yield from (Path(parent) / name for name in files)


def _libraries(interpreter: Path, shared: Iterable[Path]) -> set[Path]:
    """The machine's own libraries that these are linked to, and their loader."""
    ldd = subprocess.run(["ldd", str(interpreter), *map(str, shared)], capture_output=True, text=True)
    words = [word for line in ldd.stdout.splitlines() if not line.endswith(":") for word in line.split()]
    own = (str(Path(sys.prefix).resolve()), str(ROOT))
    return {Path(word) for word in words if word.startswith("/") and not word.startswith(own)}


def _readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode |= 0o444
    return entry


def _folder(root: tarfile.TarFile, path: str, uid: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, uid, uid
    root.addfile(entry)


def _text(root: tarfile.TarFile, path: str, text: str, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(text.encode()), mode
    root.addfile(entry, io.BytesIO(text.encode()))


def _link(root: tarfile.TarFile, path: str, target: str) -> None:
    entry = tarfile.TarInfo(path)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    root.addfile(entry)
