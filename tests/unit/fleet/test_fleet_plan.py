"""The plan: stable, within what the hosts hold, with a host to spare, and the same wherever it is made."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from fleets import cameras, fleet, host, shard_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fleet.plan import RESERVE, SHARD_CORES, NoRoom, plan

ROOT = Path(__file__).resolve().parents[3]
WEIGHTS = st.lists(st.sampled_from([0.1, 0.25, 0.5, 1.0, 1.5, 3.0]), min_size=1, max_size=60)
HOSTS = st.lists(st.tuples(st.integers(1, 64), st.floats(0.5, 12.0, allow_nan=False)), min_size=1, max_size=6).map(
    lambda found: [host(f"h{n}", cores, streams) for n, (cores, streams) in enumerate(found)]
)


def planned(*of):
    """The plan; a fleet that is too large is no example."""
    try:
        return plan(fleet(*of))
    except NoRoom:
        assume(False)


@given(HOSTS, WEIGHTS, st.sampled_from([0.1, 1.0, 3.0]))
def test_a_camera_that_is_added_moves_no_other(hosts, weights, another):
    """However full the hosts are."""
    before, after = planned(hosts, cameras(weights)), planned(hosts, cameras([*weights, another]))
    moved = {name for name, shard in shard_of(before).items() if shard_of(after)[name] != shard}
    assert moved == set()
    assert [(h.name, h.slots) for h in before.sites[0].hosts] == [(h.name, h.slots) for h in after.sites[0].hosts]
    homes = {shard.name: shard.host for shard in after.shards}
    assert all(homes[shard.name] == shard.host for shard in before.shards)


@given(WEIGHTS, st.data())
def test_where_no_shard_is_full_it_may_be_added_or_removed_anywhere(weights, data):
    hosts = [host("box", cores=8, streams_per_core=100, count=4)]
    all_of_them = cameras(weights)
    place = data.draw(st.integers(0, len(all_of_them) - 1))
    with_it, without = (
        plan(fleet(hosts, all_of_them)),
        plan(fleet(hosts, all_of_them[:place] + all_of_them[place + 1 :])),
    )
    assert shard_of(without) == {
        name: shard for name, shard in shard_of(with_it).items() if name != all_of_them[place].name
    }


def test_a_host_that_is_added_draws_its_share_and_nothing_moves_among_the_others():
    small, large = ([host("box", count=count, streams_per_core=20)] for count in (4, 5))
    before, after = (shard_of(plan(fleet(hosts, cameras([1.0] * 150)))) for hosts in (small, large))
    moved = {after[name] for name, shard in before.items() if after[name] != shard}
    assert moved == {"north-3"}  # the fourth shard: of five hosts one is spare
    assert 20 <= list(after.values()).count("north-3") <= 60


@given(HOSTS, WEIGHTS, st.integers(0, 2))
def test_no_host_is_planned_beyond_its_reserve(hosts, weights, spare_hosts):
    found = planned(hosts, cameras(weights), spare_hosts)
    site = found.sites[0]
    assert set(shard_of(found)) == {f"cam{n}" for n in range(len(weights))}
    for shard in site.shards:
        assert shard.load <= shard.room + 1e-6
        assert shard.load == pytest.approx(sum(weights[int(name.removeprefix("cam"))] for name in shard.cameras))
    for each in site.hosts:
        assert each.planned == pytest.approx(RESERVE * each.measured, abs=0.001)
        assert len(each.shards) <= each.slots
        assert each.slots * site.shards[0].room <= each.planned + 0.001 * each.slots
        assert each.load <= each.planned + 1e-6


@given(HOSTS, WEIGHTS)
def test_with_a_spare_host_each_death_is_survived(hosts, weights):
    site = planned(hosts, cameras(weights)).sites[0]
    for death in site.deaths:
        lost = {shard.name for shard in site.shards if shard.host == death.host}
        if len(hosts) == 1:
            assert death.stranded == tuple(shard.name for shard in site.shards)
        else:
            assert set(death.moved) == lost
            assert death.host not in death.moved.values()
            assert (death.overloaded, death.stranded) == ({}, ())


@given(HOSTS, st.integers(0, 2))
def test_a_shard_has_no_more_cores_than_one_should(hosts, spare_hosts):
    site = planned(hosts, cameras([0.1]), spare_hosts).sites[0]
    [shard] = site.shards
    assert 1 <= shard.threads <= SHARD_CORES * (1 + 1 / SHARD_CORES) or shard.threads == 1
    for each in site.hosts:
        assert shard.cores * each.slots <= each.cores + 0.01 * each.slots, "an engine that packs by cores fits them all"


def test_without_a_spare_host_it_is_said_what_a_death_overloads():
    """Two hosts of 8 cores at 5 streams hold 40 each and are planned with 28. 26 more make 52 of 40."""
    site = plan(fleet([host("a"), host("b")], cameras([1.0] * 52), spare_hosts=0)).sites[0]
    assert sum(each.load for each in site.hosts) == 52
    for death in site.deaths:
        [other] = [each for each in site.hosts if each.name != death.host]
        assert death.overloaded == {other.name: 1.3}
        assert death.stranded == ()
    # in its reserve: more than planned, no more than it holds
    site = plan(fleet([host("a"), host("b")], cameras([1.0] * 32), spare_hosts=0)).sites[0]
    assert {*site.deaths[0].overloaded.values(), *site.deaths[1].overloaded.values()} == {0.8}


def test_large_hosts_have_several_shards_and_small_ones_beside_them_one():
    site = plan(fleet([host("big", cores=64), host("big2", cores=64), host("small", cores=8)], cameras([1.0]))).sites[0]
    assert [each.slots for each in site.hosts] == [8, 8, 1]
    assert site.room == 9 * 28


def test_the_first_camera_without_room_is_named_and_how_much_there_is():
    with pytest.raises(
        NoRoom, match=r"no room for cam56: the cameras of north weigh 60 together, and its hosts hold 56"
    ):
        plan(fleet([host("box", count=3)], cameras([1.0] * 60)))
    with pytest.raises(NoRoom, match="cam1 weighs 29, a shard of north holds 28") as refused:
        plan(fleet([host("box", count=3)], cameras([1.0, 29.0])))
    assert refused.value.camera == 1


def test_cameras_stay_at_their_site():
    config = fleet([host("box")], [*cameras([1.0, 1.0]), *cameras([], "south")])
    south = msgspec.structs.replace(config.sites[0], name="south", hosts=(host("other"),))
    of_south = [msgspec.structs.replace(camera, name=f"s{camera.name}", site="south") for camera in config.cameras]
    found = plan(msgspec.structs.replace(config, sites=(*config.sites, south), cameras=(*config.cameras, *of_south)))
    assert {shard.site: shard.cameras for shard in found.shards} == {
        "north": ("cam0", "cam1"),
        "south": ("scam0", "scam1"),
    }
    assert [site.load for site in found.sites] == [2, 2]


@settings(max_examples=5)
@given(st.permutations(["door", "hall", "yard"]))
def test_what_a_host_is_called_is_not_asked_for_the_number_of_shards(names):
    site = plan(fleet([host(name) for name in names], cameras([1.0]))).sites[0]
    assert site.room == 56


def test_it_is_the_same_in_each_process():
    """Sets and dicts of texts have another order in each."""
    program = (
        "import msgspec; from fleets import *; from fleet.plan import plan;"
        "print(msgspec.json.encode(plan(fleet([host('a'), host('b', 16), host('c', count=3)], cameras([1.0] * 70)))))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


def sizes():
    """The table of docs/fleet.md: cameras, cores of a host, hosts, shards, cores in all."""
    rows = re.findall(r"^\|((?: [\d,]+ \|){5})$", (ROOT / "docs" / "fleet.md").read_text(), re.M)
    return [tuple(int(cell.replace(",", "")) for cell in row.strip("| ").split("|")) for row in rows]


def test_the_table_of_sizes_is_there():
    assert {row[0] for row in sizes()} == {200, 2000}


@pytest.mark.parametrize("row", sizes(), ids=str)
def test_the_table_of_sizes_is_what_the_plan_says(row):
    """One host fewer holds them no more."""
    count, cores, hosts, shards, all_cores = row
    wanted = cameras([1.0] * count)
    site = plan(fleet([host("box", cores, count=hosts)], wanted)).sites[0]
    assert (site.spare_hosts, len(site.shards), sum(each.cores for each in site.hosts)) == (1, shards, all_cores)
    with pytest.raises(NoRoom):
        plan(fleet([host("box", cores, count=hosts - 1)], wanted))
