"""Options that there were once, and what is said of each."""

from __future__ import annotations

REMOVED = {
    "detect.cascade": "was removed: haar has one cascade now; verify: false leaves OpenCV's usual one alone",
    "detect.scale_factor": "was removed: the steps of haar are fixed now",
    "detect.neighbours": "was removed: hits of haar are verified by networks, see verify",
    "detect.second_opinion": (
        "was removed: hits of haar are verified by networks now; verify: false leaves OpenCV's cascade alone"
    ),
    "detect.doubtful": "was removed: it is called candidates",
    **{f"{stage}.listen": "was removed: frames stay on this machine" for stage in ("detect", "classify", "overlay")},
    "overlay.privacy_hold_ms": "was removed: pictures wait until their stream was searched behind them",
}
