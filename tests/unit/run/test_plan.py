"""Which processes a table makes, where each tells the next one, and which lane a stream gets."""

from types import SimpleNamespace

import pytest
import zmq

from configs.schema import ClassifyConfig, DetectConfig, OverlayConfig
from run.plan import Plan
from run.streams import Streams
from transport.header import FINISHED
from transport.slot import FIRST
from transport.spec import StreamPlace
from transport.stage import Aside, Sources, Stage


def function(config, *_): ...


def table(*processes):
    names, configs = ("detect", "classify", "overlay"), (DetectConfig(), ClassifyConfig(), OverlayConfig())
    rows = zip(names, configs, processes, strict=True)
    return (
        Sources("capture", function, {"door": None}),
        *(Stage(name, function, config, processes=count) for name, config, count in rows),
    )


def planned(tmp_path, *processes):
    plan = Plan(table(*processes), [Aside("web", function, None)], tmp_path, {"door": StreamPlace("", 1, "", 2)})
    return plan, {spec.process: spec for spec in plan.processes()}


def names(spec):
    return [outbox.rpartition("/")[2] for outbox in spec.outboxes]


def test_one_process_of_each_row_has_its_name_and_tells_the_next(tmp_path):
    plan, specs = planned(tmp_path, 1, 1, 1)
    assert {name: names(spec) for name, spec in specs.items()} == {
        "detect": ["classify"], "classify": ["overlay"], "overlay": [], "web": []
    }  # fmt: skip
    assert [spec.place for spec in specs.values()] == [FIRST, FIRST + 1, FIRST + 2, 0]
    assert names(plan.capture("door")) == ["detect"]


def test_a_row_has_its_own_number_of_processes_each_at_the_same_place(tmp_path):
    plan, specs = planned(tmp_path, 3, 1, 3)
    overlays = ["overlay.1", "overlay.2", "overlay.3"]
    assert list(specs) == ["detect.1", "detect.2", "detect.3", "classify", *overlays, "web"]
    assert [names(specs[name]) for name in ("detect.2", "classify", "overlay.3")] == [["classify"], overlays, []]
    assert [(specs[name].index, specs[name].processes) for name in overlays] == [(0, 3), (1, 3), (2, 3)]
    assert {specs[name].place for name in overlays} == {FIRST + 2}
    assert {specs[name].row for name in overlays} == {"overlay"}
    assert specs["web"].showing == tuple(overlays)
    assert names(plan.capture("door")) == ["detect.1", "detect.2", "detect.3"]  # it is in lane 2


@pytest.fixture
def streams(tmp_path):
    """`streams(lanes, names)`; the lanes of those of now are `lanes()`."""
    context, opened = zmq.Context(), []

    def open_streams(lanes, names):
        streams = Streams({name: SimpleNamespace(tickets=2) for name in names}, lanes=lanes)
        opened.append(streams.opened(tmp_path, context))
        opened[-1].__enter__()
        return streams

    yield open_streams
    for one in opened:
        one.__exit__(None, None, None)
    context.term()


def lanes(streams):
    return {name: place.lane for name, place in streams.places.items()}


def test_streams_are_spread_and_none_moves_while_others_come_and_go(streams):
    here = streams(3, "abcdef")
    assert lanes(here) == {"a": 0, "b": 1, "c": 2, "d": 0, "e": 1, "f": 2}
    for name in "be":
        here.forget(name)
    for name in "ghi":
        before = lanes(here)
        here.add(name, SimpleNamespace(tickets=2))
        assert {other: lane for other, lane in lanes(here).items() if other != name} == before
    assert [lanes(here)[name] for name in "ghi"] == [1, 1, 0]


def test_a_film_that_has_ended_takes_no_place(streams):
    here = streams(2, "ab")
    here._pools["a"].head[FINISHED] = 1
    here.add("c", SimpleNamespace(tickets=2))
    here.add("d", SimpleNamespace(tickets=2))
    assert [lanes(here)[name] for name in "cd"] == [0, 0]
    assert here.opening("c").lane == 0
