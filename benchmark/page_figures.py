"""`maskstream benchmark --docs PAGE`: the table of figures in a page, made anew by all of its commands.

The page holds it between two markers. It is replaced as a whole, so all its rows are of one machine and one day, and
each row names the command that makes it.
"""

from __future__ import annotations

import inspect
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmark.pipeline import Say
from benchmark.program import ROOT, SUPERVISOR
from benchmark.report import machine_line, three
from configs.errors import Failure, InputError
from configs.whole_file import write_bytes

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
Answer = dict[str, Any]  # the JSON of a benchmark
Row = tuple[str, str]  # what, figure


class Command(Struct, frozen=True):
    """Options of `maskstream benchmark`, and the rows that its JSON makes."""

    words: tuple[str, ...]
    rows: Callable[[Answer], Iterator[Row]]


def pipeline_rows(answer: Answer) -> Iterator[Row]:
    """Flat out, and at the film's own rate."""
    found, ratios = answer["pipeline"], answer["ratios"]
    share = ratios.get("pipeline_to_decoding", ratios["pipeline_to_own_decoding"])
    yield f"frames/s of {answer['clip']}", f"{found['fps']:.0f}, {share:.2f} of decoding alone"
    cpu_ms = sum(found["cpu_ms_per_frame"].values())
    yield "CPU of a frame, memory of all processes", f"{cpu_ms:.1f} ms, {found['memory_mb']:.0f} MB"
    yield "faces found, labels right", f"{found['recall']:.1%}, {found['label_accuracy']:.1%}"
    ages = f"{three(found['age_ms'])}, {found['dropped']} dropped"
    yield "age of a frame when drawn, at the film's own rate, p50 / p95 / p99", ages


def find_max_rows(answer: Answer) -> Iterator[Row]:
    """The most streams."""
    found = answer["find_max"]
    age = f", worst p95 age {found['held']['worst_age_ms']:.0f} ms" if found["held"] else ""
    yield f"streams held of {answer['clip']}", f"{found['streams']}{age}"


def compared_rows(answer: Answer) -> Iterator[Row]:
    """Beside the loops, with one network."""
    fps, ratios, network = answer["compared"]["fps"], answer["ratios"], answer["compared"]["network"]
    for name, added in (("pipeline", ""), ("every_frame", ", `--every-frame`")):
        original, single = ratios[f"{name}_to_original"], ratios[f"{name}_to_single"]
        beside = f"{original:.1f} times the original program's loop, {single:.1f} times the loop done right"
        yield f"frames/s with {network}{added}", f"{fps[name]:.0f}, {beside}"


def idle_rows(answer: Answer) -> Iterator[Row]:
    """A camera before an empty room."""
    cores = sum(cores for name, cores in answer["idle"]["cores"].items() if name != SUPERVISOR)
    beside = f"{answer['ratios']['idle_cpu_to_decoding']:.1f} times decoding alone"
    yield "CPU of a camera before an empty room", f"{cores:.2f} of a core, {beside}"


def recorded_rows(answer: Answer) -> Iterator[Row]:
    """Cameras that are recorded."""
    packets, drawn = answer["recorded"]["packets"], answer["recorded"]["drawn"]
    held = f"{packets['alone']['streams']} / {packets['recorded']['streams']}"
    yield "1080p25 cameras held, seen alone / also recorded by `record:`", held
    ages = f"{drawn['alone_p99_ms']:.1f} / {drawn['recorded_p99_ms']:.1f} ms"
    kept = f"{drawn['not_recorded']} of {drawn['recorded'] + drawn['not_recorded']} frames not recorded"
    yield "p99 age of a 1080p30 camera, seen alone / also recorded by `file:`", f"{ages}, {kept}"


ASKED = ("compare", "find_max", "idle", "record")  # options by their names in Python
GIVEN = ("size", "fps", "network", "max_age", "device", "limit", "rounds", "settings")
COMMANDS = (
    Command((), pipeline_rows),
    Command(("--detector", "maskface"), pipeline_rows),
    Command(("--find-max",), find_max_rows),
    Command(("--find-max", "--detector", "maskface"), find_max_rows),
    Command(("--compare",), compared_rows),
    Command(("--idle",), idle_rows),
    Command(("--record",), recorded_rows),
)


def options_of_page(given: Mapping[str, Any], signature: inspect.Signature) -> tuple[list[str], list[str]]:
    """What of the commands is asked for, and what all of them are given, of the options of `maskstream benchmark`.

    Raises InputError for one that the commands do not take.
    """
    usual = {name: one.default for name, one in signature.parameters.items() if name != "docs"}
    changed = {name: given[name] for name in usual if given[name] != usual[name]}
    written = {name: "--set" if name == "settings" else f"--{name.strip('_').replace('_', '-')}" for name in usual}
    refused = [written[name] for name in changed if name not in (*ASKED, *GIVEN)]
    if refused:
        raise InputError(f"{refused[0]}: --docs has commands of its own, which do not take it; leave it out")
    values = {name: value if isinstance(value, list) else [value] for name, value in changed.items()}
    words = [word for name in GIVEN for value in values.get(name, ()) for word in (written[name], str(value))]
    return [written[name] for name in ASKED if name in changed], words


def write_figures(page: Path, asked: Sequence[str], given: Sequence[str], say: Say) -> None:
    """Run the commands, those that have one of the options asked for or all, and put their table into the page.

    `given` are options that all of them get. Raises InputError before anything is measured if the page has no place for
    it, Failure if a command fails; the page stays as it was then.
    """
    placed(page, "")
    chosen = [one for one in COMMANDS if not asked or set(asked) & set(one.words)]
    made = []
    for number, one in enumerate(chosen, 1):
        words = [*one.words, *given]
        say(f"{number} of {len(chosen)}: {written(words)}")
        made.append((words, one, measured(words)))
    write_bytes(page.resolve(), placed(page, table(made)).encode())  # the page as it is now: minutes have gone by


def placed(page: Path, text: str) -> str:
    """The page with this text between its markers. Raises InputError if it has not both, once, in their order."""
    try:
        before, begun, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--docs {page}: cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8'}") from None
    old, ended, after = rest.partition(END)
    if not (begun and ended) or BEGIN in old + after or END in before + after:
        raise InputError(f"--docs {page}: the table goes between a line {BEGIN} and a line {END}: put both there, once")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"  # MkDocs takes a line beside a table for a row of it


def measured(words: Sequence[str]) -> Answer:
    """The JSON of one command, run as its user would; what it says goes to standard error. Raises Failure."""
    command = [sys.executable, "-P", "-m", "benchmark", *words, "--json"]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path})
    if done.returncode:
        raise Failure(f"--docs: {written(words)} failed, and the page stays as it was")
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return answer


def table(made: Sequence[tuple[Sequence[str], Command, Answer]]) -> str:
    """Markdown: the machine, then a row for each figure with its command."""
    lines = [machine_line(made[0][2]["machine"]), "", "| what | figure | command |", "|---|---|---|"]
    for words, one, answer in made:
        lines += [f"| {what} | {figure} | `{written(words)}` |" for what, figure in one.rows(answer)]
    return "\n".join(lines) + "\n"


def written(words: Sequence[str]) -> str:
    return shlex.join(["maskstream", "benchmark", *words])
