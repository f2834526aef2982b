"""Where a fleet that was started from this host keeps what it must find again, and by which engine it runs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from configs.errors import InputError
from run.lease import read_small, write_private

_ABOUT = "fleet.json"

Kind = TypeVar("Kind")


class About(Struct, frozen=True, kw_only=True):
    """The fleet that runs: its name, its engine, and the file it was started with."""

    fleet: str
    engine: str
    file: str


def fleets_folder() -> Path:
    """The folder of all fleets of this user; raises InputError where he has no home."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        try:
            state = Path.home() / ".local" / "state"
        except RuntimeError:
            raise InputError("no home folder here: name one with --folder") from None
    return state / "maskstream" / "fleets"


def made(folder: Path) -> Path:
    """The folder, made for this user only; raises InputError where it cannot be used."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # shards' options, logs and histories are in it
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        raise InputError(
            f"the fleet's folder {folder} cannot be used ({error.strerror}): give another --folder"
        ) from None
    return folder


def read_about(folder: Path) -> About | None:
    """The fleet that was started in this folder; None: none, or it is down. Raises InputError for another file."""
    return read_ours(folder / _ABOUT, About)


def read_ours(path: Path, kind: type[Kind]) -> Kind | None:
    """What `fleet up` has written there; None: nothing. Raises InputError for another file."""
    try:
        return msgspec.json.decode(read_small(path), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: is not what fleet up writes ({error}): remove it, and do fleet up again") from None


def write_about(folder: Path, about: About) -> None:
    """Note it down. Raises InputError where another engine runs a fleet in this folder."""
    before = read_about(folder)
    if before is not None and (before.fleet, before.engine) != (about.fleet, about.engine):
        raise InputError(
            f"{folder}: {before.fleet} runs there by engine {before.engine}: first do maskstream fleet down"
        )
    write_private(folder / _ABOUT, msgspec.json.encode(about) + b"\n")


def forget(folder: Path) -> None:
    """It is down. What its shards had, histories and recordings, stays."""
    (folder / _ABOUT).unlink(missing_ok=True)


def find(name: str, folder: Path | None) -> tuple[Path, About]:
    """The folder of a fleet that runs, by its name; of the only one there is if the name is empty.

    Raises InputError where there is none, or several.
    """
    if folder is not None:
        about = read_about(folder)
        if about is None or name not in ("", about.fleet):
            raise InputError(
                f"no fleet {name + ' ' if name else ''}runs in {folder}: start it with maskstream fleet up"
            )
        return folder, about
    fleets = fleets_folder()
    found = [(one, about) for one in _folders(fleets) if (about := read_about(one)) is not None]
    chosen = [(one, about) for one, about in found if name in ("", about.fleet)]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise InputError(f"several fleets run here: give the name of one, of {', '.join(a.fleet for _, a in chosen)}")
    there = f" (but {', '.join(about.fleet for _, about in found)})" if found else ""
    what = f"no fleet {name + ' ' if name else ''}runs here{there}"
    raise InputError(f"{what}: start it with maskstream fleet up FILE, or give its --folder")


def _folders(fleets: Path) -> list[Path]:
    return sorted(one for one in fleets.iterdir() if one.is_dir()) if fleets.is_dir() else []


class Lock:
    """A lock in a folder (flock on `.NAME.lock`), held until `release` or the end of the process.

    Raises InputError with `taken` where another process holds it, and where it cannot be made: unlike a sink's lock,
    it is what keeps two keepers from starting each run twice.
    """

    def __init__(self, folder: Path, name: str, taken: str) -> None:
        path = folder / f".{name}.lock"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise InputError(taken) from None
        except OSError as error:
            raise InputError(f"{path}: cannot be locked ({error.strerror})") from None

    def release(self) -> None:
        """Let the next one have it."""
        os.close(self._file)
