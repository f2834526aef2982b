"""What is seen of a training while it runs: a bar with losses, images/s and time left, and a line per epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.text import Text

from configs.console import console, description


class TrainingProgress:
    """A bar over all images of all epochs, on standard error: standard output ends with the JSON line."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def advance(self, images: int, text: str) -> None:
        """A step is done: how many images it took, and what to write beside the bar."""
        self._bar.update(self._task, advance=images, description=text)

    def print(self, line: str) -> None:
        """A line above the bar; it stays."""
        if not self._bar.disable:
            self._bar.console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def training_progress(images: int, done: int, *, shown: bool = True) -> Iterator[TrainingProgress]:
    """The bar of a training of so many images, of which `done` were seen before it was resumed."""
    columns = (description(), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), disable=not shown) as bar:
        yield TrainingProgress(bar, bar.add_task("", total=images, completed=done))


class Rate(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.0f} images/s")
