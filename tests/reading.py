"""Reading a source by hand, as its capture stage does, and what must hold of what it gives."""

from __future__ import annotations

import itertools
import shutil
import subprocess

import pytest

from capture.picture import NotYet, Picture, Room, Source


def read(source: Source, room: Room) -> Picture | None:
    """The next picture, however often it is not there yet."""
    while True:
        try:
            return source.read(room)
        except NotYet:
            continue


def play(video, room, clip):
    """Numbers and positions in ms of all pictures that are left."""
    with video:
        pictures = [
            (clip.index_of(picture.image), picture.media_ms) for picture in iter(lambda: read(video, room), None)
        ]
    return [index for index, _ in pictures], [media_ms for _, media_ms in pictures]


def grows(numbers):
    """Whether each number is larger than the one before."""
    return all(earlier < later for earlier, later in itertools.pairwise(numbers))


def ffprobe_count(path):
    """How many pictures ffprobe decodes of a film; skips the test where it is not installed."""
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed (Debian package ffmpeg)")
    count = ["-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
    answer = subprocess.run(["ffprobe", "-v", "error", *count, str(path)], capture_output=True, text=True, check=True)
    return int(answer.stdout.split()[0].strip(","))
