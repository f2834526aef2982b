"""Hours of a camera in minutes: films looped as fast as they go, with a page, recordings and a history."""

import os
import signal
import time

import numpy as np
import psutil
import pytest
from ports import free_port
from test_web_doors import ask, status

from benchmark.clip import generate
from events.store import Store

HOURS = float(os.environ.get("SOAK_HOURS", "1"))  # of a camera
FPS, SIZE = 10.0, (320, 240)  # of that camera: small, so that hours go by in minutes
RECORD_GB, EVENTS_MB = 0.02, 1.0


def memory_mb(run) -> float:
    """What all processes of the run have to themselves, and their share of what they have together."""
    return sum(psutil.Process(pid).memory_full_info().pss for pid in run.processes()) / 1e6


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_memory_disk_and_history_stay_within_their_bounds(maskstream, tmp_path):
    port, film = free_port(), generate(tmp_path, SIZE, FPS)
    sinks = ("--sink", "web", "--port", port, "--sink", "file:rec/o.mp4", "--segment", "1m", "--sink", "sqlite:e.db")
    bounds = {"record_gb": RECORD_GB, "events_mb": EVENTS_MB, "event_pictures": "true"}
    options = [word for name, value in bounds.items() for word in ("--set", f"overlay.{name}={value}")]
    options += ["--set", "detect.every=10"]  # once a second of the camera: the rest of the time is the pipeline's
    run = maskstream("--source", film.path, "--loop", *sinks, *options, "--json")
    run.until(lambda: "web: ready" in run.stderr)

    def shown() -> int:
        return sum(stream["shown"] for stream in status(port)["streams"])

    run.until(lambda: shown() > 500)
    samples, disk_mb, began_s = [], [], time.monotonic()
    while shown() < HOURS * 3600 * FPS:
        time.sleep(5)
        ask(port, f"/snapshot/{film.path.stem}.jpg")
        ask(port, "/metrics")
        samples.append((time.monotonic() - began_s, memory_mb(run)))
        disk_mb.append(sum(path.stat().st_size for path in (run.folder / "rec").iterdir()) / 1e6)
    minutes = (time.monotonic() - began_s) / 60
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    later = np.array(samples[len(samples) // 3 :])  # the first third fills caches and queues
    slope_mb_per_minute = np.polyfit(later[:, 0] / 60, later[:, 1], 1)[0]
    ledger = run.report["streams"][film.path.stem]
    store = Store(run.folder / "e.db")
    kept = sum(1 for _ in store.read())
    used_mb = store.used_bytes() / 1e6
    newest_mb = max(path.stat().st_size for path in (run.folder / "rec").iterdir()) / 1e6
    print(
        f"\n{ledger['shown']} frames in {minutes:.0f} min are {ledger['shown'] / FPS / 3600:.1f} h of a camera; "
        f"memory {later[0, 1]:.0f} to {later[-1, 1]:.0f} MB, {slope_mb_per_minute:+.2f} MB/min; "
        f"recordings at most {max(disk_mb):.1f} MB; "
        f"{kept} events in {used_mb:.2f} MB; stages {run.report['stages']}"
    )
    assert abs(slope_mb_per_minute) < 3 / minutes + 0.5
    assert max(disk_mb) < 1000 * RECORD_GB + 0.5 * newest_mb
    assert used_mb < EVENTS_MB + 1.5  # it is pruned after 200 events of 4 kB, or a minute
    assert all(stage["restarts"] == 0 for stage in run.report["stages"].values())
    assert ledger["captured"] == ledger["shown"] + sum(ledger["dropped"].values())
