"""What a run that has ended left on the disk: files that are half written, or that should be gone."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import msgspec

from configs.errors import InputError
from overlay.recorder import coding


def half_written(folder: Path) -> list[str]:
    """Videos that do not play, JSON lines that are none, and hidden files: locks and what was being written."""
    found = [path.name for path in sorted(folder.glob("*.mp4")) if not plays(path)]
    for path in sorted(folder.glob("*.jsonl")):
        lines = path.read_bytes().split(b"\n")
        broken = sum(not _is_json(line) for line in lines[:-1]) + bool(lines[-1])
        if broken:
            found.append(f"{path.name} ({broken} broken)")
    return found + sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def plays(path: Path) -> bool:
    """Whether all packets of a video can be read, and there is one."""
    import av

    with contextlib.suppress(OSError, InputError), coding(path), av.open(f"file:{path}") as video:
        return sum(packet.size for packet in video.demux(video=0)) > 0  # all of them, so that a broken one is met
    return False


def _is_json(line: bytes) -> bool:
    with contextlib.suppress(msgspec.DecodeError):
        msgspec.json.decode(line)
        return True
    return False


def order_of(lines: Path) -> tuple[int, Counter[str]]:
    """How many frames were shown after a later one of their stream; and, by stream, how many were shown twice."""
    last: dict[str, int] = {}
    late, twice = 0, Counter[str]()
    for line in lines.read_bytes().splitlines():
        with contextlib.suppress(msgspec.DecodeError):
            said = msgspec.json.decode(line, type=_Said)
            before = last.get(said.stream, -1)
            late += said.seq < before
            twice[said.stream] += said.seq == before
            last[said.stream] = max(before, said.seq)
    return late, +twice


class _Said(msgspec.Struct):
    stream: str
    seq: int
