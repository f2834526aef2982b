"""What the table of stages becomes of the options: how many lanes, and how the cores are shared out among them."""

import pytest

from configs.schema import ClassifyConfig, OverlayConfig, PipelineConfig, RunConfig, SourceConfig
from overlay.asides import beside
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
