"""Tells whether windows can be shown here."""

from __future__ import annotations

import ctypes
import sys


def has_display() -> bool:
    """True where a window would appear. Asked first because `cv2.imshow` without a display aborts the whole process.

    On Linux the windows of opencv-python's wheels go through X11 only, so it tries to connect as they would:
    a DISPLAY that is set may still be dead.
    """
    if sys.platform != "linux":
        return True
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)  # never null: a failed connection is one that has an error
    try:
        return xcb.xcb_connection_has_error(connection) == 0
    finally:
        xcb.xcb_disconnect(connection)
