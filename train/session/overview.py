"""What a run is about to do, said before it begins: the data by split and class, what is left out, and the facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from capture.image_files import named
from configs.console import console, visible
from configs.plural import counted

if TYPE_CHECKING:
    import torch
    from torch import nn


def print_overview(
    classes: Sequence[str], splits: Mapping[str, Sequence[str]], facts: Mapping[str, str], counts: str = "pictures"
) -> None:
    """A table of the labels of each split by class, and a line for each fact.

    Classes are numbered as the network's outputs are. On standard error: standard output has the results.
    """
    screen = console(stderr=True, highlight=False, soft_wrap=True)
    screen.print(splits_table(classes, splits, counts))
    for name, fact in facts.items():
        screen.print(f"{name + ':':11}{visible(fact)}")


def splits_table(classes: Sequence[str], splits: Mapping[str, Sequence[str]], counts: str) -> Table:
    """Under a split: how many of each class, and the share of the split; in the last row the share of all."""
    by_split = {split: Counter(labels) for split, labels in splits.items()}
    together = sum(by_split.values(), Counter[str]())
    if len(by_split) > 1:
        by_split["all"] = together
    table = Table("class", "encoded as", *by_split, title=counts, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for index, name in enumerate(classes):
        cells = (with_share(found[name], found.total()) for found in by_split.values())
        table.add_row(Text(name), str(index), *cells)
    table.add_section()
    table.add_row("all", "", *(with_share(found.total(), together.total()) for found in by_split.values()))
    return table


def with_share(number: int, of: int) -> str:
    """
    >>> with_share(343, 1047), with_share(0, 0)
    ('343 (33 %)', '0')
    """
    return f"{number:,} ({number / of:.0%})".replace("%", " %") if of else f"{number:,}"


def left_out_text(files: Mapping[str, Sequence[str]]) -> str:
    """What is no part of the data, by reason.

    >>> left_out_text({"not a whole image": ["mask/1.jpg"], "no picture by its suffix": ["mask/a.txt", "mask/b.txt"]})
    '1 file: not a whole image (mask/1.jpg); 2 files: no picture by its suffix (mask/a.txt, mask/b.txt)'
    >>> left_out_text({})
    'nothing'
    """
    parts = (f"{counted(len(names), 'file')}: {reason} ({named(names)})" for reason, names in files.items())
    return "; ".join(parts) or "nothing"


def learning_share(network: nn.Module) -> str:
    """How many of how many parameters learn, and of which layers they are, where not all do."""
    sizes = {name: weight.numel() for name, weight in network.named_parameters()}
    learning = {name: sizes[name] for name, weight in network.named_parameters() if weight.requires_grad}
    share = f"{sum(learning.values()):,} of {sum(sizes.values()):,} parameters"
    return share if len(learning) == len(sizes) else f"{share} ({', '.join(layers(learning))})"


def device_name(device: torch.device) -> str:
    """
    >>> import torch; device_name(torch.device("cpu")).startswith("cpu, ")
    True
    """
    import torch

    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    return f"{device}, {counted(torch.get_num_threads(), 'thread')}"


def layers(names: Iterable[str]) -> list[str]:
    """
    >>> layers(["layer4.0.conv1.weight", "fc.weight", "fc.bias"])
    ['layer4', 'fc']
    """
    return list(dict.fromkeys(name.split(".")[0] for name in names))
