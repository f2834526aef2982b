"""A page in one file: tables and pictures within it, no script, nothing that is fetched from anywhere."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

import cv2
import numpy as np

from configs.whole_file import write_bytes

TILE_PX = 112  # longest side of a face in a gallery
Table = tuple[str, list[str], list[list[str]]]  # title, columns, rows

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1, p { overflow-wrap: anywhere }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #8886 }
nav a { margin-right: 1rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .6rem; background: #8882 }
table { border-collapse: collapse; margin: 1rem 0 }
caption { text-align: left; font-weight: bold }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #8886; text-align: left }
.wide { overflow-x: auto }
.side > * { max-width: 100% }
.side { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start }
.chart { width: 21.5rem; max-width: 100%; margin: 0; font-size: .85rem }
.chart span { display: inline-block; margin-right: 1rem }
.chart i { display: inline-block; width: 1.4rem; border-top: 3px solid; margin-right: .3rem; vertical-align: middle }
svg text { font: 11px system-ui, sans-serif; fill: currentColor }
svg .title { font-weight: bold; font-size: 12px }
svg .grid { stroke: #8884 }
svg .mark { stroke: #888; stroke-dasharray: 2 3 }
.confusion td { text-align: right; border: 1px solid #8886 }
.gallery { display: flex; flex-wrap: wrap; gap: .8rem; padding: 0 }
.gallery figure { width: 8.4rem; margin: 0; font-size: .78rem; line-height: 1.25; overflow-wrap: anywhere }
.gallery img { height: 112px; display: block }
figcaption small { opacity: .75 }
img { max-width: 100% }
</style>
<h1>$title</h1>
$body
</html>
""")


def write_html(path: Path, title: str, parts: Iterable[str]) -> None:
    """Write a page of parts that are HTML already. Raises InputError where the file cannot be written."""
    text = PAGE.substitute(title=shown(title), body="\n".join(parts))
    write_bytes(path, text.encode())


def shown(text: str) -> str:
    """Any text as HTML; bytes of a file's name that are no UTF-8 are replaced.

    >>> shown("<b> caf\\udce9")
    '&lt;b&gt; caf\\ufffd'
    """
    return html.escape(os.fsencode(text).decode(errors="replace"))


def section(name: str, title: str, *parts: str) -> str:
    """Parts under a heading that the page's first lines lead to."""
    return f'<h2 id="{name}">{shown(title)}</h2>\n' + "\n".join(parts)


def table_html(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Columns and rows of any texts; on a narrow screen it is moved sideways."""
    head = "".join(f"<th>{shown(column)}" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{shown(cell)}" for cell in row) for row in rows)
    title = f"<caption>{shown(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{title}<tr>{head}{body}</table></div>'


def picture(jpeg: bytes, about: str) -> str:
    """A JPEG file within the page."""
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="{shown(about)}">'


def tile(crop_bgr: np.ndarray, lines: Sequence[str], name: str) -> str:
    """A face (H, W, 3) uint8 BGR with lines under it, and in small letters the name of its file."""
    scale = TILE_PX / max(crop_bgr.shape[:2])
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    width, height = (max(1, round(side * scale)) for side in crop_bgr.shape[1::-1])
    _, jpeg = cv2.imencode(".jpg", cv2.resize(crop_bgr, (width, height), interpolation=kind))
    words = "<br>".join(map(shown, lines))
    caption = f"<figcaption>{words}<br><small>{shown(name)}</small></figcaption>"
    return f"<figure>{picture(jpeg.tobytes(), name)}{caption}</figure>"


def gallery(tiles: Iterable[str]) -> str:
    return f'<div class="gallery">{"".join(tiles)}</div>'


def folded(title: str, *parts: str) -> str:
    """Parts that are seen when their title is clicked."""
    return f"<details><summary>{shown(title)}</summary>{''.join(parts)}</details>"
