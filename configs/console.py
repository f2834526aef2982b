"""The terminal as all commands print to it: what comes from outside is shown as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # else where a console is made: most of what `visible` is needed for prints by itself
    from rich.console import Console
    from rich.progress import TextColumn


def console(**options: Any) -> Console:
    """rich's console, for which `[bold]` and `:mask:` are text: they may be a class, a stream, a path, an error.

    With its markup a class called `[/]` ended the run, and the advice to install `maskstream[train]` lost `[train]`.
    """
    from rich.console import Console

    return Console(markup=False, emoji=False, **options)


def description() -> TextColumn:
    """The column of a progress bar that says what is being done, as it is."""
    from rich.progress import TextColumn

    return TextColumn("{task.description}", markup=False)


def visible(text: str) -> str:
    """The text with control characters written out: a file's name must not move the cursor or set a colour.

    >>> visible("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return "".join(one if one.isprintable() or one in "\t\n" else repr(one)[1:-1] for one in text)
