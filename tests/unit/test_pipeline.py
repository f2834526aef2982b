"""What the table of stages becomes of the options: how many lanes, and how the cores are shared out among them."""

import pytest

from configs.errors import InputError
from configs.schema import ClassifyConfig, OverlayConfig, PipelineConfig, RunConfig, SourceConfig
from overlay.asides import beside
from overlay.sinks import SINKS
from overlay.sinks.each_picture import EACH_PICTURE, STILL_FPS
from pipeline import checked, stages


def options(lanes, cores, streams, *sinks, device="cpu"):
    given = PipelineConfig(
        sources=(SourceConfig(source="demo"),) * streams,
        run=RunConfig(lanes=lanes, cores=cores),
        overlay=OverlayConfig(sinks=sinks or ("null",)),
        classify=ClassifyConfig(device=device),
    )
    return checked(given)[0]


@pytest.mark.parametrize(
    ("lanes", "cores", "streams", "device", "processes", "searches", "model"),
    [
        ("auto", 2, 4, "cpu", [1, 1, 1], 1, 1),
        ("auto", 16, 9, "cpu", [4, 4, 4], 1, 1),
        ("auto", 16, 1, "cpu", [1, 1, 1], 4, 8),
        (2, 16, 9, "cpu", [2, 2, 2], 2, 4),
        (4, 16, 9, "cuda", [4, 1, 4], 1, 8),
    ],
)
def test_lanes_share_the_cores_and_a_gpu_has_one_process(lanes, cores, streams, device, processes, searches, model):
    found = options(lanes, cores, streams, device=device)
    assert [row.processes for row in stages(found)[1:]] == processes
    assert (found.detect.threads, found.classify.threads) == (searches, model)


def test_more_lanes_than_sources_are_made_only_where_a_page_may_add_some():
    assert options(4, 8, 2).run.lanes == 2
    assert options(4, 8, 2, "web").run.lanes == 4


def test_more_lanes_than_cores_are_made_and_said(capsys):
    assert options(4, 2, 4).run.lanes == 4
    assert capsys.readouterr().err == "maskstream: run.lanes 4 is more than 2 cores can keep busy\n"


def test_the_windows_of_several_lanes_are_a_process_of_their_own(monkeypatch):
    monkeypatch.setattr("overlay.sinks.has_display", lambda: True)
    assert [row.name for row in beside(options(2, 8, 2, "window"), of_files=True)] == ["window"]
    assert beside(options(1, 8, 2, "window"), of_files=True) == []


@pytest.mark.parametrize(
    ("source", "asked", "overlay", "becomes"),
    [
        ("rtsp://door/1", "auto", OverlayConfig(sinks=("web", "record:kept/", "sqlite:e.db")), STILL_FPS),
        ("http://door/1", "auto", OverlayConfig(sinks=("null",)), STILL_FPS),
        ("rtsp://door/1", "auto", OverlayConfig(sinks=("web", "file:o.mp4")), "all"),
        ("rtsp://door/1", 2.0, OverlayConfig(sinks=("web", "file:o.mp4")), 2.0),
        ("rtsp://door/1", "all", OverlayConfig(sinks=("web",)), "all"),
        ("rtsp://door/1", "auto", OverlayConfig(sinks=("web",), privacy="blur"), "all"),
        ("demo", "auto", OverlayConfig(sinks=("web",)), "auto"),  # it is no camera
    ],
)
def test_few_pictures_of_a_still_room_go_on_where_no_sink_needs_each(source, asked, overlay, becomes):
    given = PipelineConfig(sources=(SourceConfig(source=source, name="s", still_fps=asked),), overlay=overlay)
    assert stages(given)[0].config["s"].still_fps == becomes


@pytest.mark.parametrize(("more", "overlay", "why"), [
    ({"mode": "every"}, OverlayConfig(), "mode: every"), ({}, OverlayConfig(privacy="blur"), "overlay.privacy"),
])  # fmt: skip
def test_a_rate_for_still_rooms_is_refused_where_each_picture_goes_on(more, overlay, why):
    source = SourceConfig(source="rtsp://me:secret@door", name="s", still_fps=5, **more)
    with pytest.raises(InputError, match=f"still_fps: with {why} each picture goes on") as refused:
        stages(PipelineConfig(sources=(source,), overlay=overlay))
    assert "secret" not in str(refused.value)


def test_of_each_sink_it_is_decided_whether_it_needs_each_picture():
    """A new one is to be written down here or there."""
    events = {"events", "sqlite", "webhook", "mqtt", "mqtts", "nats", "nats+tls", "postgres", "postgresql"}
    assert SINKS.keys() - EACH_PICTURE == events | {"window", "web", "record", "contact", "null"}
