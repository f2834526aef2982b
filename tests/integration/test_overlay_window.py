"""The window, on a real X server (Xvfb): a picture appears, a silent camera is shown as away, a key ends the run."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
GREEN = (0, 200, 0)

# The overlay stage as a child of a process that stands for the supervisor: SIGINT ends it as Ctrl-C would.
PROGRAM = """
import os, select, sys, time
import numpy as np
from configs.schema import OverlayConfig
from overlay.stage import overlay
from transport.frame import Frame
from transport.stage import StageContext

context, silent_after, ends = StageContext(), int(sys.argv[1]), sys.argv[2:] == ["ends"]

def batches(ended):
    seq = 0
    while not select.select([ended], [], [], 0.05)[0]:
        image = np.zeros((240, 320, 3), np.uint8)
        image[:] = (0, 200, 0)
        context.ended[:] = ["door"] if seq == silent_after and ends else []
        yield [Frame("door", seq, time.monotonic_ns(), image, live=True)] if seq < silent_after else []
        seq += 1

ended, end = os.pipe()
child = os.fork()
if child == 0:
    os.close(end)
    config = OverlayConfig(sinks=("window",), corner=False)
    for _ in overlay(config, batches(ended), context):
        pass
    os._exit(0)
try:
    os.waitpid(child, 0)
    print("the overlay ended by itself", flush=True)
except KeyboardInterrupt:
    os.close(end)
    print("SIGINT, then overlay status", os.waitpid(child, 0)[1], flush=True)
"""


class Screen:
    """An X server without a monitor; what it shows stands in a file."""

    def __init__(self, display: str, folder: Path) -> None:
        self.display = display
        self._file = folder / "Xvfb_screen0"

    @property
    def width(self) -> int:
        return int.from_bytes(self._file.read_bytes()[16:20], "big") if self._file.exists() else 0

    def picture(self) -> np.ndarray:
        """(H, W, 3) BGR, read from the X window dump that Xvfb keeps of its memory."""
        dump = self._file.read_bytes()
        header = np.frombuffer(dump[:100], ">u4")
        size, width, height, line, colours = (int(header[i]) for i in (0, 4, 5, 12, 19))
        pixels = np.frombuffer(dump, np.uint8, height * line, size + 12 * colours)
        return pixels.reshape(height, line)[:, : 4 * width].reshape(height, width, 4)[:, :, :3]

    def has(self, colour: tuple[int, int, int]) -> int:
        """How many pixels have that colour."""
        return int((self.picture() == colour).all(axis=2).sum())

    def press(self, key: str, x: int, y: int) -> None:
        """Move the pointer to (x, y), which gives the window there the keyboard, and press a key."""
        with self._connected("libXtst.so.6") as (x11, xtst, display):
            code = x11.XKeysymToKeycode(display, ctypes.c_ulong(x11.XStringToKeysym(key.encode())))
            at_once = ctypes.c_ulong(0)
            xtst.XTestFakeMotionEvent(display, -1, x, y, at_once)
            xtst.XTestFakeKeyEvent(display, code, 1, at_once)
            xtst.XTestFakeKeyEvent(display, code, 0, at_once)

    def close_windows(self) -> None:
        """Ask every window to close, as a window manager does when its X is clicked."""
        with self._connected("libX11.so.6") as (x11, _, display):
            root, parent, count = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_uint()
            windows = ctypes.POINTER(ctypes.c_ulong)()
            found = (ctypes.byref(value) for value in (root, parent, windows, count))
            x11.XQueryTree(display, ctypes.c_ulong(x11.XDefaultRootWindow(display)), *found)
            for window in windows[: count.value]:
                atoms = [x11.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")]
                event = CloseRequest(type=33, window=window, message_type=atoms[0], format=32)  # 33: ClientMessage
                event.data[0] = atoms[1]
                x11.XSendEvent(display, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(event))

    @contextmanager
    def _connected(self, library: str) -> Iterator[tuple[ctypes.CDLL, ctypes.CDLL, ctypes.c_void_p]]:
        try:
            x11, other = ctypes.CDLL("libX11.so.6"), ctypes.CDLL(library)
        except OSError:
            pytest.skip(f"needs libX11.so.6 and {library} (Debian packages libx11-6, libxtst6)")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        for function in (x11.XStringToKeysym, x11.XDefaultRootWindow, x11.XInternAtom):
            function.restype = ctypes.c_ulong
        display = ctypes.c_void_p(x11.XOpenDisplay(self.display.encode()))
        yield x11, other, display
        x11.XCloseDisplay(display)


class CloseRequest(ctypes.Structure):
    """XClientMessageEvent, padded to the size of an XEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 12),
    )


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    if not shutil.which("Xvfb"):
        pytest.skip("needs Xvfb (Debian package xvfb)")
    number, tell = os.pipe()
    options = ["-displayfd", str(tell), "-fbdir", str(tmp_path), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    server = subprocess.Popen(["Xvfb", *options], pass_fds=[tell], stderr=subprocess.DEVNULL)
    os.close(tell)
    try:
        with os.fdopen(number) as lines:
            display = f":{lines.readline().strip()}"
        screen = Screen(display, tmp_path)
        assert wait_for(lambda: screen.width == 800)  # it tells its number before it has written the file
        yield screen
    finally:
        server.terminate()
        server.wait(timeout=10)


@contextmanager
def running(screen: Screen, silent_after: int = 1_000_000, *ends: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"DISPLAY": screen.display, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, str(silent_after), *ends]
    program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield program
    finally:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate()


def wait_for(what: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("key", ["q", "Escape"])
def test_the_picture_appears_and_a_key_ends_the_run(screen: Screen, key: str):
    with running(screen) as program:
        assert wait_for(lambda: screen.has(GREEN) == 320 * 240)
        ys, xs = np.nonzero((screen.picture() == GREEN).all(axis=2))
        screen.press(key, int(xs.mean()), int(ys.mean()))
        said, _ = program.communicate(timeout=20)
        assert said == "SIGINT, then overlay status 0\n"
        assert screen.has(GREEN) == 0


def test_a_camera_that_fell_silent_is_not_shown_as_if_it_were_there(screen: Screen):
    with running(screen, silent_after=20):
        assert wait_for(lambda: screen.has(GREEN) > 0)
        assert wait_for(lambda: screen.has(GREEN) == 0)
        assert screen.has((32, 32, 32)) > 10_000


def test_the_window_of_a_stream_that_ended_goes_and_the_run_goes_on(screen: Screen):
    with running(screen, 20, "ends") as program:
        assert wait_for(lambda: screen.has(GREEN) > 0)
        assert wait_for(lambda: not screen.picture().any())
        time.sleep(3)  # as long as a camera must be silent to be shown as away
        assert not screen.picture().any()
        assert program.poll() is None


def test_a_closed_window_ends_the_run(screen: Screen):
    with running(screen) as program:
        assert wait_for(lambda: screen.has(GREEN) > 0)
        screen.close_windows()
        assert program.communicate(timeout=20)[0] == "SIGINT, then overlay status 0\n"


def test_a_window_on_a_display_that_died_is_refused_before_it_would_abort(tmp_path: Path):
    environment = os.environ | {"DISPLAY": ":4095", "PYTHONPATH": str(ROOT)}
    script = "from overlay.sinks import check_sinks; check_sinks(['window'])"
    refused = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "InputError: sink window: DISPLAY=:4095 cannot be reached" in refused.stderr
