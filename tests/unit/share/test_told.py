"""The share of masks as it is told: the same on page, in report and as JSON; adjusted only where errors are known."""

import time

import msgspec
import pytest
from msgspec.structs import replace

from configs.schema import ClassifyConfig, DetectConfig
from events.event import Event
from events.report import page, share_of
from inference.detectors import open_detector
from inference.measured import found_by, labelled_by
from share.errors import KnownErrors, errors_of_shipped, errors_told, known_errors, read_errors
from share.told import mask_share
from tell.figures import run_report
from tell.status import StageStatus, Status
from web.run_state import RunState

PERSONS = {"mask": 30, "no_mask": 9, "wrong_mask": 4}


def facts(detector="haar", width_px=320):
    """What the stages of a run say of themselves that runs what ships."""
    found = found_by(open_detector(DetectConfig(detector=detector)))
    return {"found_by": found, "searched_px": str(width_px), "labelled_by": labelled_by(ClassifyConfig())}


def status(counts, facts):
    stage = StageStatus(frames=1, batches=1, busy_ns=0, cpu_ns=0, members=1, restarts=0, counts=counts)
    return Status(time.monotonic_ns(), 1.0, 9.0, "running", 2, {}, {"overlay": stage}, {}, facts, {})


def on_the_page(persons, facts):
    """What the page is told where these persons were seen."""
    run_state, labels = RunState(), [label for label, count in persons.items() for _ in range(count)]
    run_state.hear(msgspec.msgpack.encode(status({}, facts)))
    run_state.saw(msgspec.msgpack.encode({"door": dict(enumerate(labels))}))
    return run_state.as_json()["mask_share"]


def at_the_end(persons, facts):
    """What stands in the run's JSON."""
    last = status({f"persons_{label}": count for label, count in persons.items()} | {"events_kept": 3}, facts)
    return run_report(last, last, {}, {})["mask_share"]


def decisions(persons):
    """The events of the history."""
    labels = [label for label, count in persons.items() for _ in range(count)]
    return [
        Event(id=str(i), time="2026-11-27T12", rule="decision", stream="a", text=label, track=i, label=label)
        for i, label in enumerate(labels)
    ]


@pytest.mark.parametrize("detector", ["haar", "maskface"])
def test_page_report_and_json_tell_the_same(detector):
    told = on_the_page(PERSONS, facts(detector))
    assert told["counted"] == 43
    assert told["raw"] == pytest.approx(30 / 43, abs=1e-4)
    assert told["low"] < told["adjusted"] < told["high"]
    assert told == at_the_end(PERSONS, facts(detector))
    assert told == share_of(decisions(PERSONS), detector, 320).as_json
    assert told["text"] in page(decisions(PERSONS), "24h", 0.0, detector)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"labelled_by": "0123456789abcdef"}, "the errors of this model are not known"),
        ({"labelled_by": ""}, "the errors of this model are not known"),
        ({"found_by": ""}, "the errors of this detector are not known"),
        ({"found_by": "haar 0123456789abcdef"}, "the errors of this detector are not known"),
        ({"searched_px": "200"}, "the errors of a search less than 320 px wide are not known"),
    ],
    ids=["another model", "a server's", "another detector", "of another version", "narrower"],
)
def test_of_what_was_not_measured_nothing_is_adjusted_and_it_is_said(changed, why):
    told = on_the_page(PERSONS, facts() | changed)
    assert told["raw"] == pytest.approx(30 / 43, abs=1e-4)
    assert told["adjusted"] is told["low"] is told["high"] is None
    assert told["text"].endswith(f"; not adjusted: {why}.")
    assert told == at_the_end(PERSONS, facts() | changed)


def test_before_the_stages_have_said_what_they_are_nobody_is_told():
    assert RunState().as_json()["mask_share"]["text"] == "Nobody was counted whose label is known."
    assert on_the_page({"unsure": 2}, {})["counted"] == 0


def test_the_errors_that_ship_are_those_of_the_models_that_ship():
    """If this fails, a model was replaced: python -m train.measure_errors measures its errors."""
    assert labelled_by(ClassifyConfig()) == read_errors().classifiers[0]
    assert labelled_by(ClassifyConfig(device="cuda")) == read_errors().classifiers[1]
    for detector in ("haar", "maskface"):
        assert isinstance(errors_told(facts(detector)), KnownErrors)


def test_only_what_runs_as_it_was_measured_is_named():
    opened = open_detector(DetectConfig())
    assert found_by(opened).startswith("haar ")
    opened.config = replace(opened.config, score=0.9)
    assert found_by(opened) == ""
    assert labelled_by(ClassifyConfig(prefer="few-misses")) == ""
    assert labelled_by(ClassifyConfig(remote="http://host:8000/mask")) == ""


def test_errors_are_those_of_the_widest_search_that_was_no_wider():
    files, model = read_errors().detectors["haar"].files, read_errors().classifiers[0]
    about = {px: known_errors(f"haar {files}", px, model).about for px in (320, 480, 640, 1279, 1280, 4000)}
    assert [f"{px} px wide" for px in (320, 320, 640, 640, 1280, 1280)] == [
        next(words for words in text.split(", ") if words.endswith("px wide")) for text in about.values()
    ]


def test_labels_that_are_no_class_of_the_errors_are_said():
    told = mask_share({"mask": 3, "visor": 1}, errors_of_shipped("haar", 320))
    assert told.adjusted is None
    assert "'visor'" in told.text


def test_a_person_whose_label_changes_counts_once_in_a_report():
    mask, bare = decisions({"mask": 1, "no_mask": 1})
    changed = replace(bare, track=mask.track, before="mask")
    assert share_of([mask, changed], "haar", 320).counted == 1
    assert share_of([mask, changed], "haar", 320).raw == 0
    assert share_of([changed], "haar", 320).counted == 1  # what was before is not in the span of the report
    assert share_of([mask, replace(bare, track=mask.track)], "haar", 320).counted == 2  # another run's track
