"""`maskstream chaos`: does faults to a real run, one after the other, and checks its accounts after each."""

from __future__ import annotations

import json
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from msgspec import Struct, field
from rich.table import Table

from benchmark.camera import Camera
from benchmark.faults import FAULTS, Scene
from benchmark.left_files import half_written, order_of
from benchmark.report import machine
from benchmark.watched_run import RECOVERY_S, LeftOver, WatchedRun, working_in
from capture.sources import kind_of
from configs.console import console
from configs.errors import Failure, InputError, Stopped
from configs.plural import counted
from configs.references import escaped
from transport.stage import row_of

GONE_S = 3.0  # for the processes of a run that has ended


class Figures(Struct):
    """What came of one kind of fault. `lost` are frames; `recovered_s` the times of those that it recovered from."""

    times: int = 0
    lost: int = 0
    recovered_s: list[float] = field(default_factory=list)
    left: list[LeftOver] = field(default_factory=list)

    def recovery(self) -> dict[str, float | None]:
        """p50, p95 and the longest, s."""
        if not self.recovered_s:
            return {"p50": None, "p95": None, "max": None}
        p50, p95, longest = np.percentile(self.recovered_s, (50, 95, 100))
        return {"p50": round(p50, 2), "p95": round(p95, 2), "max": round(longest, 2)}

    def left_over(self) -> dict[str, int]:
        """Processes, segments of shared memory, run folders and stuck frames."""
        return {name: sum(getattr(left, name) for left in self.left) for name in LeftOver.__struct_fields__}


def chaos(
    faults: Annotated[list[str] | None, typer.Argument(help=f"{', '.join(FAULTS)}; all if not given")] = None,
    times: Annotated[int, typer.Option(min=1, help="How often each.")] = 3,
    source: Annotated[
        list[str] | None,
        typer.Option(help="As in `run`, repeatable; films are played at their own rate, again and again. Else: demo."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is chosen by chance: the order of faults, and whom they hit.")] = 0,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Any option of the run; repeatable.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Keep here what the run writes, and its log.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")] = False,
) -> None:
    """Kill, stop, slow and starve a run, and see that its ledger still balances and all flows again.

    It starts a run of its own, with recordings and a page, and touches no other. The exit code is 1 if a frame was
    lost that two lives of a stage did not die with, the ledger did not balance, or something was left over.

    Examples:
      maskstream chaos
      maskstream chaos kill stop --times 20 --seed 7
      maskstream chaos --source clip.mp4 --source demo --times 50 --json
    """
    asked = list(dict.fromkeys(faults or FAULTS))
    if unknown := [name for name in asked if name not in FAULTS]:
        raise InputError(f"chaos {unknown[0]}: use {', '.join(FAULTS)}")
    sources = [source_options(one) for one in source or ["demo"]]
    options = [word for setting in settings or () for word in ("--set", setting)]
    with tempfile.TemporaryDirectory(prefix="maskstream-chaos-") as name, Camera() as camera:
        sockets = Path(name) / "sockets"
        sockets.mkdir()
        folder = _made(output or Path(name) / "files")
        if "source-away" in asked:
            sources.append({"source": camera.url, "name": "camera"})
        with WatchedRun(folder, sockets, sources, options) as run:
            found = {fault: Figures() for fault in asked}
            run.until_steady()
            stopped = False
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.default_int_handler)  # as Ctrl-C: else the run would go on without us
            try:
                for fault in shuffled(asked, times, random.Random(seed)):
                    do(fault, Scene(run, camera, random.Random(f"{seed} {fault} {found[fault].times}")), found[fault])
            except Failure as failure:  # what was found until then is told
                run.accounts.problem(str(failure))
            except KeyboardInterrupt:
                stopped = True
            at_end = ended(run)
    problems = run.accounts.problems
    if json_:
        typer.echo(json.dumps(as_json(found, at_end, problems, seed)))
    else:
        console().print(as_table(found))
        typer.echo("at the end: " + ", ".join(f"{count} {what}" for what, count in at_end.items()))
    if problems:
        for problem in problems:
            say(problem)
        raise Failure(f"{counted(len(problems), 'problem')}, the first: {problems[0]}")
    if stopped:
        done = sum(figures.times for figures in found.values())
        raise Stopped(f"stopped after {done} of {counted(times * len(asked), 'fault')}; nothing was wrong until then")


def do(fault: str, scene: Scene, figures: Figures) -> None:
    """One fault, and what came of it. Raises Failure if the run has ended, or does not recover: then there is no use in
    another fault.
    """
    run = scene.run
    before, (lost, excused) = run.left_over(), run.lost()
    whom = FAULTS[fault](scene)
    recovered_s = run.recovered_after(time.monotonic())
    now_lost, now_excused = run.lost()
    left = run.left_over().since(before)
    figures.times += 1
    figures.lost += now_lost - lost
    figures.left.append(left)
    told = f"{fault}, {whom}: "
    if now_lost - lost > now_excused - excused:
        run.accounts.problem(f"{told}{counted(now_lost - lost, 'frame')} lost")
    if left != LeftOver():
        run.accounts.problem(f"{told}left over: {left}")
    if recovered_s is None:
        raise Failure(f"{told}not all flows again after {RECOVERY_S:g} s")
    figures.recovered_s.append(recovered_s)
    say(f"{told}recovered after {recovered_s:.2f} s")


def ended(run: WatchedRun) -> dict[str, int]:
    """End the run, and count what is left of it; what should not be is a problem."""
    report = run.end()
    deadline = time.monotonic() + GONE_S
    while (running := list(working_in(run.folder))) and time.monotonic() < deadline:
        time.sleep(0.1)
    folders, files = run.run_folders(), half_written(run.folder)
    late, twice = order_of(run.folder / "frames.jsonl")
    stages = report["stages"] if report else {}
    deaths = sum(stage["restarts"] for name, stage in stages.items() if row_of(name) == "overlay")
    if running:
        run.accounts.problem(f"left over at the end: {counted(len(running), 'process')}")
    if folders:
        run.accounts.problem(f"left over at the end: {', '.join(path.name for path in folders)}")
    if files:
        run.accounts.problem(f"half written or left over at the end: {', '.join(files)}")
    if late:
        run.accounts.problem(f"{counted(late, 'frame')} shown after a later one")
    if twice and max(twice.values()) > deaths:
        run.accounts.problem(f"shown twice: {dict(twice)}, while overlay died {counted(deaths, 'time')}")
    return {
        "processes": len(running),
        "run folders": len(folders),
        "files half written": len(files),
        "frames out of order": late,
        "frames shown twice": sum(twice.values()),
    }


def shuffled(faults: list[str], times: int, chance: random.Random) -> Iterator[str]:
    """Each fault so many times, in an order by chance."""
    order = faults * times
    chance.shuffle(order)
    return iter(order)


def as_table(found: dict[str, Figures]) -> Table:
    """For people."""
    table = Table("fault", "times", "frames lost", "recovery p50 / p95 / max, s", "left over")
    for name, figures in found.items():
        times_s = " / ".join("-" if time_s is None else f"{time_s:.1f}" for time_s in figures.recovery().values())
        left = ", ".join(f"{count} {what}" for what, count in figures.left_over().items() if count)
        table.add_row(name, str(figures.times), str(figures.lost), times_s, left or "nothing")
    return table


def as_json(found: dict[str, Figures], at_end: dict[str, int], problems: list[str], seed: int) -> dict[str, Any]:
    """For scripts."""
    return {
        "faults": {
            name: {
                "times": figures.times,
                "lost": figures.lost,
                "recovered": len(figures.recovered_s),
                "recovery_s": figures.recovery(),
                "left_over": figures.left_over(),
            }
            for name, figures in found.items()
        },
        "at_end": {what.replace(" ", "_"): count for what, count in at_end.items()},
        "problems": problems,
        "seed": seed,
        "machine": machine(),
    }


def source_options(source: str) -> dict[str, object]:
    """A source as the run is given it: a film or the demo plays as a camera does, and does not end."""
    here = str(Path(source).resolve()) if Path(source).exists() else source  # the run stands in a folder of its own
    kind = kind_of(here)
    is_film = "realtime" in kind.options and not kind.may_come_back
    return {"source": escaped(here)} | ({"realtime": True, "loop": True} if is_film else {})


def _made(output: Path) -> Path:
    """A folder with nothing in it."""
    output.mkdir(parents=True, exist_ok=True)
    if any(output.iterdir()):
        raise InputError(f"--output {output}: choose a folder that is empty, or a new one")
    return output.resolve()


def say(line: str) -> None:
    """What goes on, on standard error: table and JSON have standard output to themselves."""
    typer.echo(line, err=True)
