"""Faces in the background of photographs that nobody annotated, found by looking: who sees one is not wrong."""

from __future__ import annotations

import csv
from collections import defaultdict
from functools import cache
from pathlib import Path

from transport.frame import Box

SHIPPED_LIST = Path(__file__).with_name("background_faces.csv")


@cache
def read_background_faces(path: Path = SHIPPED_LIST) -> dict[str, tuple[Box, ...]]:
    """Their boxes, px, by the name of the photograph.

    Each place of 38 px and more at which haar or maskface gave a score of .22 and more in photos/val and scenes/, and
    that is no annotated face, was looked at on 27 November 2026: 57 of 350 show a face, or so much of one that somebody
    would have annotated it in the foreground. Backs of heads are none. The boxes are the detector's, so who is in the
    list counts neither as found nor as missed; only that a box is false is not said of it.
    """
    found: defaultdict[str, list[Box]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            x, y, width, height = (float(row[column]) for column in ("x", "y", "width", "height"))
            found[row["file"]].append(Box(x, y, width, height))
    return {name: tuple(boxes) for name, boxes in found.items()}
