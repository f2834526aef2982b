"""As many streams as fit into the limit of open files run, one more is refused in one line: libzmq would abort."""

import json
import subprocess
import sys

from program import ROOT

from run.limits import OPEN_FILES_OF_RUN, OPEN_FILES_OF_STREAM

FIT = 6
LIMIT = OPEN_FILES_OF_RUN + FIT * OPEN_FILES_OF_STREAM


def run(film, streams, folder):
    """With a page's worth of sinks: what is open for each stream is counted, too."""
    sources = [word for _ in range(streams) for word in ("--source", str(film))]
    sinks = ("--sink", "file:o-{stream}.mp4", "--sink", "jsonl:o.jsonl", "--sink", "sqlite:o.db", "--json")
    limited = ("sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh", sys.executable, str(ROOT / "run_pipeline.py"))
    return subprocess.run([*limited, *sources, *sinks], cwd=folder, capture_output=True, text=True, timeout=200)


def test_the_streams_that_fit_run_and_one_more_is_refused(clip, tmp_path):
    film = clip("f.mp4", count=20)
    done = run(film, FIT, tmp_path)
    assert done.returncode == 0, done.stderr
    ledgers = json.loads(done.stdout.splitlines()[-1])["streams"]
    assert [ledger["shown"] for ledger in ledgers.values()] == [20] * FIT
    assert "Too many open files" not in done.stderr
    refused = run(film, FIT + 1, tmp_path)
    assert refused.returncode == 1
    assert f"error: {FIT + 1} streams need {LIMIT + 8} open files, a process may have {LIMIT} here" in refused.stderr
    assert f"or give at most {FIT} streams" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
