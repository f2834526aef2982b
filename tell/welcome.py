"""What `maskstream` without a word says: the three things that most people want, and at a terminal it asks which."""

from __future__ import annotations

import os
import sys
from pathlib import Path

LINES = """\
maskstream shows and records, live, who wears a face mask, who does not, and who wears it wrongly.

  1  the demo, as a page            maskstream run --source demo --realtime --loop --sink web
  2  my webcam                      maskstream run --source 0
  3  my network cameras             maskstream init        (asks for them, looks at each, writes cameras.yaml)

All commands: maskstream --help. What this machine has and lacks: maskstream doctor.
"""
CHOICES = {
    "1": ("run", "--source", "demo", "--realtime", "--loop", "--sink", "web"),
    "2": ("run", "--source", "0"),
    "3": ("init",),
}


def welcome() -> list[str]:
    """The words of the command that is wanted; none: it was only told."""
    print(LINES)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return []
    if not any(Path("/dev").glob("video*")):
        print("There is no webcam at this computer.")
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        print("There is no display: what a window would show is on the page.")
    try:
        chosen = input("Which one? 1, 2, 3, or Enter for none: ").strip()
    except EOFError:
        return []
    return list(CHOICES.get(chosen, ()))
