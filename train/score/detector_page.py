"""The page that shows how well a detector sees: its figures, and the faces that it missed."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from configs.lettering import drawable, mask
from configs.whole_file import write_bytes
from train.score.html_page import Table, table_html
from train.score.sightings import Sighting
from transport.frame import Box

TILE_PX, TILES_PER_ROW, MOST_TILES = 160, 6, 60
SURROUNDINGS = 3.0  # a tile's side, in sides of the face
GREEN, RED = (80, 170, 60), (40, 60, 220)  # BGR
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;border-bottom:1px solid #ccc;"
    "text-align:left}img{max-width:100%}"
)


class Tile:
    """A face and what is around it, (TILE_PX, TILE_PX, 3) uint8 BGR."""

    def __init__(self, image: np.ndarray, box: Box, colour: tuple[int, int, int], words: str) -> None:
        side = max(round(SURROUNDINGS * max(box.width, box.height)), 1)
        left, top = round(box.x + box.width / 2 - side / 2), round(box.y + box.height / 2 - side / 2)
        framed = cv2.copyMakeBorder(image, side, side, side, side, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        region = framed[max(top + side, 0) : top + 2 * side, max(left + side, 0) : left + 2 * side]
        self.pixels = cv2.resize(region, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
        scale = TILE_PX / side
        first = (round((box.x - left) * scale), round((box.y - top) * scale))
        last = (round((box.x + box.width - left) * scale), round((box.y + box.height - top) * scale))
        cv2.rectangle(self.pixels, first, last, colour, 1, cv2.LINE_AA)
        write(self.pixels, words)


def write(pixels: np.ndarray, words: str) -> None:
    """Words at the foot of a tile, white on what is dark, into (TILE_PX, TILE_PX, 3) uint8 BGR."""
    if not words.isascii():
        words = drawable(words)
    if words.isascii():
        for colour, line in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(pixels, words, (4, TILE_PX - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, line, cv2.LINE_AA)
        return
    letters = mask(words, 0.42)[:, : TILE_PX - 8]
    height, width = letters.shape
    pixels[TILE_PX - 4 - height : TILE_PX - 4, 4 : 4 + width] = letters[..., None]


class Album:
    """The missed faces and the false boxes of a run, up to a number of each."""

    def __init__(self, least_px: float) -> None:
        self._least_px = least_px
        self.missed: list[Tile] = []
        self.false: list[Tile] = []

    def add(self, image: np.ndarray, sighting: Sighting) -> None:
        for face, label, partner in zip(sighting.faces, sighting.labels, sighting.partners, strict=True):
            if partner is None and min(face.width, face.height) >= self._least_px and len(self.missed) < MOST_TILES:
                self.missed.append(Tile(image, face, GREEN, label))
        for place in sighting.false:
            box = sighting.found[place]
            if min(box.width, box.height) >= self._least_px and len(self.false) < MOST_TILES:
                what = "unannotated" if place in sighting.unannotated else "false"
                self.false.append(Tile(image, box, RED, f"{what}, {sighting.said[place]}"))


def write_page(folder: Path, title: str, about: Sequence[str], tables: Sequence[Table], album: Album) -> None:
    """index.html with the tables, missed.jpg and false.jpg beside it."""
    parts = [f"<h1>{html.escape(title)}</h1>", *(f"<p>{html.escape(line)}</p>" for line in about)]
    parts += [f"<h2>{html.escape(name)}</h2>{table_html(columns, rows)}" for name, columns, rows in tables]
    for name, tiles in (("missed", album.missed), ("false", album.false)):
        path = folder / f"{name}.jpg"
        path.unlink(missing_ok=True)
        if tiles:
            write_bytes(path, cv2.imencode(".jpg", sheet(tiles))[1].tobytes())
            parts.append(f'<h2>{name}</h2><img src="{name}.jpg" alt="{len(tiles)} {name} faces">')
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
    page += f"<style>{STYLE}</style>" + "".join(parts)
    write_bytes(folder / "index.html", page.encode())


def sheet(tiles: Sequence[Tile]) -> np.ndarray:
    """The tiles in rows, (H, W, 3) uint8 BGR."""
    rows = -(-len(tiles) // TILES_PER_ROW)
    picture = np.full((rows * TILE_PX, TILES_PER_ROW * TILE_PX, 3), 255, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // TILES_PER_ROW * TILE_PX, place % TILES_PER_ROW * TILE_PX
        picture[top : top + TILE_PX, left : left + TILE_PX] = tile.pixels
    return picture
