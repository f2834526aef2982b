"""How long the owner of a shard waits, on a machine that does nothing else: docs/shards.md has what was measured."""

import time

import pytest
from shards import command, shown

from run.lease import read_lease
from run.shard import read_note

pytestmark = pytest.mark.bench
MOST_S = 5.0


def test_a_killed_shard_flows_again_within_5_s(shard, tmp_path):
    run = shard("a", "--sink", "null")
    run.until(lambda: shown(tmp_path / "a") > 20)
    life = read_lease(tmp_path / "a").life
    run.kill()
    killed_s = time.monotonic()
    again = shard("a", "--sink", "null")
    again.until(lambda: read_note(tmp_path / "a").run != life and shown(tmp_path / "a") > 0)
    took_s = time.monotonic() - killed_s
    print(f"\nflows again after {took_s:.1f} s")
    assert took_s < MOST_S


def test_a_fenced_shard_ends_within_5_s(shard, tmp_path):
    run = shard("a", "--sink", "null")
    run.until(lambda: shown(tmp_path / "a") > 20)
    assert command("north-1", "fence", "--epoch", 7, "--folder", tmp_path / "a").returncode == 0
    fenced_s = time.monotonic()
    assert run.wait() == 5
    took_s = time.monotonic() - fenced_s
    print(f"\nends after {took_s:.1f} s")
    assert took_s < MOST_S
