"""`fleet up --head`: Ray's head is started where the command is, outlives it, and `fleet down` ends it."""

import time

import pytest
from hosts import hosts, until
from ray_fleet import RayFleet, skip_without_ray

__all__ = ["hosts"]
pytestmark = [pytest.mark.fleet, pytest.mark.timeout(600)]


@pytest.fixture
def fleet(request, tmp_path):
    skip_without_ray()
    made = RayFleet(request.getfixturevalue("hosts"), tmp_path, count=4)
    yield made
    made.close()


def test_up_starts_rays_head_and_down_ends_it(fleet):
    for host in fleet.hosts:
        joined = fleet.join(host)
        joined.until(lambda joined=joined: "Ray's head at 10.77.0.1:6379 cannot be reached" in joined.stdout)
    said = fleet.up("--head", "office")
    assert "Ray's head is started here, at 10.77.0.1:6379: Ray listens on all addresses of this host" in said
    fleet.until_all_flow(time.monotonic())
    log = fleet.hosts.office.disk / ".local/state/maskstream/fleets/plant/head.log"
    assert "Ray runs, the head" in log.read_text()
    assert "Ray's head is started" not in fleet.up("--head", "office"), "it runs"
    fleet.until_all_flow(time.monotonic())
    down = fleet.command("down")
    assert down.wait(120) == 0, down.stderr
    assert "Ray's head, which fleet up had started here, is ended" in down.stdout
    until(lambda: not fleet.hosts.office.processes())


def test_a_head_that_nothing_could_be_placed_by_is_ended_again(fleet):
    up = fleet.command("up", fleet.file, "--head", "office")
    assert up.wait(180) == 1, up.stdout
    assert "waits 45 s for host-1, host-2, host-3" in up.stdout
    assert up.stderr.endswith("no host of north is there: start maskstream fleet host host-1 FILE on it\n")
    until(lambda: not fleet.hosts.office.processes())
    status = fleet.command("status")
    assert status.wait() == 1
    assert "no fleet runs here" in status.stderr


def test_a_head_is_not_started_for_another_host(fleet):
    up = fleet.hosts[0].maskstream("fleet", "up", fleet.file, "--head", "host-1", **fleet.ray, **fleet.secrets)
    assert up.wait() == 1
    [line] = up.stderr.splitlines()
    assert line.endswith("--head host-1: RAY_ADDRESS is 10.77.0.1, which is no address of this host: do it there")
    assert fleet.hosts[0].processes() == []
