"""Shows each stream in a window of its own. Esc, q, or closing a window ends the whole run."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
from collections.abc import Callable

import cv2
import numpy as np

from overlay.draw import away_picture
from overlay.sinks.sink import Sink
from transport.frame import Frame

log = logging.getLogger("overlay")

ESCAPE = 27
FIRST_SIZE_PX = (1280, 720)  # a window is at most this large when it opens; the user may change it


def end_run() -> None:
    """Ctrl-C by another key: the supervisor, our parent process, ends the sources and the rest empties by itself."""
    os.kill(os.getppid(), signal.SIGINT)


class WindowSink(Sink):
    """The windows of a run whose frames go through one overlay; where there are several: overlay/show_windows.py."""

    def __init__(self, quit: Callable[[], None] = end_run) -> None:
        self._windows = Windows(quit)

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        self._windows.show(frame.stream, picture)

    def idle(self, silent_s: dict[str, float]) -> None:
        self._windows.idle(silent_s)

    def ended(self, stream: str) -> None:
        self._windows.ended(stream)

    def close(self) -> None:
        self._windows.close()


class Windows:
    """`quit` is called once, when the user has had enough; from then on nothing more is shown."""

    def __init__(self, quit: Callable[[], None] = end_run) -> None:
        self._quit = quit
        self._shapes: dict[str, tuple[int, int]] = {}  # height and width of each stream's last picture
        self._ended = False
        _own_the_events()

    @property
    def streams(self) -> list[str]:
        """Those that have a window."""
        return list(self._shapes)

    def show(self, stream: str, picture: np.ndarray) -> None:
        """Show a picture, (H, W, 3) uint8 BGR, in the stream's window."""
        if self._ended:  # showing it would open a window again that the user has just closed
            return
        height, width = picture.shape[:2]
        if stream not in self._shapes:
            _open(stream, width, height)
        self._shapes[stream] = height, width
        cv2.imshow(stream, picture)
        self._listen()

    def idle(self, silent_s: dict[str, float]) -> None:
        """See what the user does; show of each stream that is silent that its camera is away."""
        if self._ended or not self._shapes:
            return
        for stream in silent_s.keys() & self._shapes.keys():
            height, width = self._shapes[stream]
            cv2.imshow(stream, away_picture(stream, silent_s[stream], width, height))
        self._listen()

    def ended(self, stream: str) -> None:
        """Close its window."""
        if self._shapes.pop(stream, None) and not self._ended and _is_open(stream):
            cv2.destroyWindow(stream)

    def close(self) -> None:
        """Close all."""
        cv2.destroyAllWindows()

    def _listen(self) -> None:
        """Let the windows paint themselves, and see whether the user wants to end."""
        key = cv2.pollKey() & 0xFF
        if key in (ESCAPE, ord("q")) or not all(map(_is_open, self._shapes)):
            log.info("ended in the window")
            self._ended = True
            self._quit()


def _own_the_events() -> None:
    """Have Qt alone read what the X server sends.

    OpenCV's wheel brings a libX11-xcb of another version than the system's libX11: by it Qt asks Xlib for the queue of
    events at a wrong place of Xlib's memory. Xlib goes on reading, and what it gets first, Qt never hears of. On a busy
    machine 6 of 32 windows stayed black for ever, and keys were lost; with the system's own library none of 64.
    """
    with contextlib.suppress(OSError):  # Debian's libgl1, which OpenCV needs, brings it (libx11-xcb1)
        ctypes.CDLL("libX11-xcb.so.1", ctypes.RTLD_GLOBAL)


def _open(stream: str, width: int, height: int) -> None:
    # GUI_NORMAL: without it Qt takes right-click and Ctrl keys for its own menu, and adds a toolbar.
    cv2.namedWindow(stream, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    share = min(1.0, FIRST_SIZE_PX[0] / width, FIRST_SIZE_PX[1] / height)
    cv2.resizeWindow(stream, round(share * width), round(share * height))


def _is_open(stream: str) -> bool:
    try:
        return cv2.getWindowProperty(stream, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:  # Qt: "NULL guiReceiver (please create a window)", once the last window is closed
        return False
