"""What an error of FFmpeg means, in words for people."""

from __future__ import annotations

import time


def broke_off(error: Exception, since_s: float, timeout_s: float) -> bool:
    """Whether an error is PyAV's own clock ending the call; in the midst of parsing it looks like invalid data."""
    import av

    return isinstance(error, av.error.ExitError) or time.monotonic() - since_s >= timeout_s


def why(error: Exception) -> str:
    """An error of FFmpeg in words, without the address that its own text contains."""
    import av

    if isinstance(error, ConnectionRefusedError):
        return "connection refused: is it switched on, and is the port right?"
    if isinstance(error, av.error.HTTPUnauthorizedError):
        return "401 unauthorized: user or password is wrong or missing"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "404 not found: the path of the URL is wrong"
    if isinstance(error, av.error.InvalidDataError):
        return "what comes is no video that FFmpeg can read"
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()
