"""What is known of the checkpoints of the original program: bare state dicts, all else is in their names.

`ResNet-retrain-2classes-64-10-0.00010000.pth`: backbone, mode, classes, batch size, epochs, learning rate.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger("classify")

CLASSES = ("mask", "no_mask", "wrong_mask")  # its class folders, sorted: the order of its outputs


def classes_in_name(path: Path) -> tuple[str, ...]:
    """The class names of a file whose name says how many it has; () for any other name.

    >>> classes_in_name(Path("ResNet-retrain-2classes-64-10-0.00010000.pth"))
    ('mask', 'no_mask')
    >>> classes_in_name(Path("ResNet-not_retrain-64-3-0.001.pth"))
    ()
    """
    found = re.search(r"(?:^|-)([23])classes(?:-|\.|$)", path.name)
    return CLASSES[: int(found[1])] if found else ()


def classes_of_data(path: Path, folders: Sequence[str]) -> tuple[str, ...]:
    """The class folders of a data set as class names of the file, unless its name says another number of classes.

    The original trained on the same folders in the same order.
    """
    named = classes_in_name(path)
    return tuple(folders) if folders and len(named) in (0, len(folders)) else ()


def there(path: Path) -> Path:
    """The file, or NAME.pth where NAME.pt is asked for and is not there: the original's README writes it so."""
    other = path.with_suffix(".pth")
    if path.suffix == ".pt" and not path.exists() and other.is_file():
        log.warning("%s is not there: %s is taken", path, other)
        return other
    return path
