"""Line charts as SVG, written by hand: they stand in a page without a file or a script beside it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 380, 240  # of the drawing, in its own units; a page scales it
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 28, 40
MOST_DOTS = 60  # points of a line that are marked; more would hide it
TICKS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A named line through points (x, y), in their order. Points whose y is not a number are left out."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """What an axis shows, and what is written beside it."""

    name: str
    low: float
    high: float

    def share(self, value: float) -> float:
        """Where a value lies between the ends: 0 to 1."""
        return (value - self.low) / (self.high - self.low or 1)


def chart(title: str, lines: Sequence[Line], x: Range, y: Range, mark: tuple[float, str] | None = None) -> str:
    """A figure of the lines; `mark` is an x and the words at the upright line that is drawn there."""
    parts = [f'<text class="title" x="{LEFT}" y="16">{html.escape(title)}</text>']
    parts += [grid_line(x, value, upright=True) for value in ticks(x)]
    parts += [grid_line(y, value, upright=False) for value in ticks(y)]
    parts.append(
        f'<text x="{(WIDTH + LEFT - RIGHT) / 2:g}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(x.name)}</text>'
    )
    if mark is not None:
        at = across(x, mark[0])
        parts.append(f'<line class="mark" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        side, place = ("end", at - 4) if x.share(mark[0]) > 0.5 else ("start", at + 4)
        parts.append(f'<text x="{place:g}" y="{TOP + 10}" text-anchor="{side}">{html.escape(mark[1])}</text>')
    parts += [drawn(line, x, y) for line in lines]
    words = html.escape(f"{title}, over {x.name}")
    drawing = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">{"".join(parts)}</svg>'
    return f'<figure class="chart">{drawing}<figcaption>{legend(lines)}</figcaption></figure>'


def across(x: Range, value: float) -> float:
    return round(LEFT + x.share(value) * (WIDTH - LEFT - RIGHT), 1)


def up(y: Range, value: float) -> float:
    return round(HEIGHT - BOTTOM - y.share(min(max(value, y.low), y.high)) * (HEIGHT - TOP - BOTTOM), 1)


def drawn(line: Line, x: Range, y: Range) -> str:
    """The line, and its points as dots that say their values."""
    points = [(one, other) for one, other in line.points if math.isfinite(other)]
    path = " ".join(f"{across(x, one)},{up(y, other)}" for one, other in points)
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2"{dashes}/>']
    for one, other in points if len(points) <= MOST_DOTS else ():
        said = html.escape(f"{line.name} {other:.4g} at {one:g}".strip())
        place = f'cx="{across(x, one)}" cy="{up(y, other)}"'
        parts.append(f'<circle {place} r="2.5" fill="{line.colour}"><title>{said}</title></circle>')
    return "".join(parts)


def grid_line(axis: Range, value: float, *, upright: bool) -> str:
    """A line across the drawing at a value, and the value beside it."""
    if upright:
        at = across(axis, value)
        return (
            f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text x="{at}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{value:g}</text>'
        )
    at = up(axis, value)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        f'<text x="{LEFT - 6}" y="{at + 4:g}" text-anchor="end">{value:g}</text>'
    )


def legend(lines: Sequence[Line]) -> str:
    """The names of the lines with their colours, below the drawing, where there is room for any number of them."""
    return "".join(
        f'<span><i style="color:{line.colour}{";border-top-style:dashed" if line.dashed else ""}"></i>'
        f"{html.escape(line.name)}</span>"
        for line in lines
        if line.name
    )


def ticks(axis: Range) -> list[float]:
    """Round values along an axis, about five.

    >>> ticks(Range("", 0, 1)), ticks(Range("epoch", 1, 10))
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [2, 4, 6, 8, 10])
    """
    span = axis.high - axis.low
    if span <= 0:
        return [axis.low]
    size = 10 ** math.floor(math.log10(span / TICKS))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor * TICKS >= span * 0.999)
    first = math.ceil(axis.low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(axis.high / step + 1e-9) + 1)]
