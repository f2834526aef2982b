"""What is seen of a training while it runs: a bar with loss, accuracy, images/s and time left, a line per epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from configs.console import console, description
from train.training import EpochResult, Training


@contextmanager
def progress_of(
    training: Training, faces: int, shown: bool
) -> Iterator[tuple[Callable[[int, float, float], None], Callable[[EpochResult], None]]]:
    """Two functions to tell of a step (faces, loss and accuracy of the epoch so far) and of an epoch of `faces`.

    On stderr: stdout ends with the JSON line.
    """
    columns = (description(), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), disable=not shown) as bar:
        epochs = training.recipe.epochs
        task = bar.add_task("", total=epochs * faces, completed=len(training.history) * faces)

        def on_step(count: int, loss: float, accuracy: float) -> None:
            bar.update(task, advance=count, description=f"loss {loss:.3f}, accuracy {accuracy:.3f}")

        def on_epoch(one: EpochResult) -> None:
            if shown:
                bar.console.print(
                    f"epoch {one.epoch} of {epochs}: loss {one.loss:.4f}, accuracy {one.train_accuracy:.4f}; "
                    f"validation loss {one.val_loss:.4f}, accuracy {one.val.accuracy:.4f}, "
                    f"macro F1 {one.val.macro_f1:.4f}; {one.seconds:.1f} s",
                    highlight=False,
                    soft_wrap=True,
                )

        yield on_step, on_epoch


class Rate(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.0f} images/s")
