"""Which events a row of frames makes: decisions about persons, and rules."""

import numpy as np
import pytest

from configs.errors import InputError
from events.event_detector import EventDetector
from events.rules import read_rules
from transport.frame import Box, Face, Frame, Prediction

IMAGE = np.zeros((100, 100, 3), np.uint8)
STEP_MS = 100.0


def person(track, label, x=40.0):
    return Face(Box(x - 10, 40, 20, 20), Prediction(label, 0.9, {label: 0.9}), track)


def happened(frames, rules=(), stream="door") -> list[tuple[str, int | None, str | None, float]]:
    """Rule, track, label and second of each event; a frame is the list of its faces."""
    detector = EventDetector(rules)
    found = []
    for seq, faces in enumerate(frames):
        frame = Frame(stream, seq, 0, IMAGE, tuple(faces), media_ms=seq * STEP_MS)
        for event, picture in detector.see(frame):
            assert bool(picture) == (event.track is not None)
            found.append((event.rule, event.track, event.label, seq * STEP_MS / 1000))
    return found


def rules_of(tmp_path, text):
    (tmp_path / "r.yaml").write_text(text)
    return read_rules(str(tmp_path / "r.yaml"))


def only(found, name):
    return [event for event in found if event[0] == name]


def test_a_decision_is_told_once_when_it_is_certain_and_when_it_changed():
    frames = 10 * [[person(1, "mask")]] + 10 * [[person(1, "no_mask")]]
    assert happened(frames) == [("decision", 1, "mask", 0.5), ("decision", 1, "no_mask", 1.5)]


def test_flicker_and_doubt_are_no_decisions():
    assert happened(10 * [[person(1, "mask")], [person(1, "no_mask")]]) == []
    assert happened(20 * [[person(1, "unsure")]]) == []
    frames = 10 * [[person(1, "mask")]] + 10 * [[person(1, "unsure")]] + 10 * [[person(1, "mask")]]
    assert len(happened(frames)) == 1


def test_who_was_hidden_for_two_seconds_and_wears_what_he_wore_is_no_second_event():
    """Nor if nothing is said of him, or nothing sure, for the first pictures after it."""
    nobody, back = 20 * [[]], [Face(Box(30, 40, 20, 20), None, 1)]
    frames = 10 * [[person(1, "mask")]] + nobody + 2 * [back] + 3 * [[person(1, "unsure")]] + 30 * [[person(1, "mask")]]
    assert happened(frames) == [("decision", 1, "mask", 0.5)]
    frames = 10 * [[person(1, "mask")]] + nobody + 10 * [[person(1, "no_mask")]]
    assert happened(frames) == [("decision", 1, "mask", 0.5), ("decision", 1, "no_mask", 3.5)]


def test_a_label_that_was_not_certain_yet_does_not_become_so_while_its_person_is_hidden():
    frames = 3 * [[person(1, "mask")]] + 10 * [[]] + 10 * [[person(1, "mask")]]
    assert happened(frames) == [("decision", 1, "mask", 1.8)]


def test_a_rule_tells_of_a_person_once_though_he_was_hidden(tmp_path):
    rules = rules_of(tmp_path, "rules: [{name: bare, kind: label, label: no_mask, for: 1s, cool_down: 100ms}]")
    bare, back, nobody = [person(1, "no_mask")], [Face(Box(30, 40, 20, 20), None, 1)], 20 * [[]]
    hidden = 15 * [bare] + nobody + 2 * [back] + 2 * [[person(1, "unsure")]] + 30 * [bare]
    assert only(happened(hidden, rules), "bare") == [("bare", 1, "no_mask", 1.0)]
    masked_meanwhile = 15 * [bare] + nobody + 5 * [[person(1, "mask")]] + 15 * [bare]
    assert only(happened(masked_meanwhile, rules), "bare") == [("bare", 1, "no_mask", 1.0), ("bare", 1, "no_mask", 5.0)]
    not_seen_for_so_long = 4 * [bare] + nobody + 6 * [bare]
    assert only(happened(not_seen_for_so_long, rules), "bare") == []


def test_who_is_hidden_is_not_there_and_who_crosses_a_line_behind_a_pillar_crosses_it_once(tmp_path):
    rules = rules_of(
        tmp_path,
        """rules:
  - {name: crowd, kind: people, more_than: 1, for: 1s, cool_down: 100ms}
  - {name: door, kind: line, line: [0.5, 1, 0.5, 0], cool_down: 100ms}
""",
    )
    hidden = 4 * [[person(1, "mask", 40), person(2, "mask", 90)]] + 20 * [[person(2, "mask", 90)]]
    found = happened([*hidden, *(3 * [[person(1, "mask", 60), person(2, "mask", 90)]])], rules)
    assert only(found, "crowd") == []
    assert only(found, "door") == [("door", 1, "mask", 2.4)]


def test_a_face_that_is_not_followed_is_no_person():
    assert happened(20 * [[Face(Box(1, 1, 9, 9), Prediction("mask", 0.9, {}))]]) == []


def test_a_label_for_two_seconds_with_a_cool_down(tmp_path):
    rules = rules_of(tmp_path, "rules: [{name: bare, kind: label, label: no_mask, for: 2s, cool_down: 5s}]")
    frames = 30 * [[person(1, "no_mask")]] + 30 * [[person(1, "no_mask"), person(2, "no_mask")]]
    frames += 60 * [[person(2, "no_mask")]]
    assert only(happened(frames, rules), "bare") == [("bare", 1, "no_mask", 2.0), ("bare", 2, "no_mask", 7.0)]


def test_more_than_two_people(tmp_path):
    rules = rules_of(tmp_path, "rules: [{name: crowd, kind: people, more_than: 2, for: 1s, cool_down: 60s}]")
    two, three = [person(n, "mask") for n in (1, 2)], [person(n, "mask") for n in (1, 2, 3)]
    assert only(happened(5 * [three] + 20 * [two], rules), "crowd") == []
    assert only(happened(5 * [two] + 30 * [three], rules), "crowd") == [("crowd", None, None, 1.5)]


def test_the_share_without_a_mask(tmp_path):
    text = "rules: [{name: lax, kind: share, more_than: 0.5, at_least: 3, for: 1s, cool_down: 60s}]"
    rules = rules_of(tmp_path, text)
    lax = [person(1, "no_mask"), person(2, "wrong_mask"), person(3, "mask"), person(4, "unsure")]
    half = [person(1, "no_mask"), person(2, "mask"), person(3, "mask"), person(4, "no_mask")]
    assert len(only(happened(20 * [lax], rules), "lax")) == 1
    assert only(happened(20 * [half], rules), "lax") == []
    assert only(happened(20 * [lax[:2]], rules), "lax") == []


def test_a_line_is_crossed_and_a_zone_is_entered(tmp_path):
    rules = rules_of(
        tmp_path,
        """rules:
  - {name: door, kind: line, line: [0.5, 1, 0.5, 0], cool_down: 100ms}
  - {name: inside, kind: people, more_than: 0, for: 300ms, zone: [0.7, 0, 1, 1], cool_down: 60s}
""",
    )
    frames = [[person(1, "mask", x)] for x in range(30, 90, 4)] + [[person(1, "mask", x)] for x in range(90, 30, -4)]
    found = happened(frames, rules)
    assert len(only(found, "door")) == 2
    assert len(only(found, "inside")) == 1


def test_a_rule_of_another_stream_is_not_asked(tmp_path):
    rules = rules_of(tmp_path, "rules: [{name: crowd, kind: people, more_than: 0, streams: [hall]}]")
    assert only(happened(20 * [[person(1, "mask")]], rules), "crowd") == []
    assert only(happened(20 * [[person(1, "mask")]], rules, "hall"), "crowd")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules: [{name: a, kind: label}]", "kind label needs `label`"),
        ("rules: [{name: a, kind: people}]", "needs `more_than`"),
        ("rules: [{name: a, kind: line, line: [0, 0, 0, 0]}]", "two different ends"),
        ("rules: [{name: a, kind: people, more_than: 1, zone: [0.5, 0, 0.2, 1]}]", "zone is x0"),
        ("rules: [{name: a, kind: people, more_than: 1, colour: red}]", "unknown field `colour`"),
        ("rules: [{name: a, kind: people, more_than: 1, for: soon}]", "no span of time"),
        ("rules: [{name: a, kind: people, more_than: 1}, {name: a, kind: people, more_than: 2}]", "same name"),
        ("rules: {", "r.yaml"),
    ],
)
def test_a_bad_rule_is_refused_in_one_line(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as refusal:
        rules_of(tmp_path, text)
    assert "\n" not in str(refusal.value)


def test_a_stream_that_comes_again_after_its_end_has_other_people(tmp_path):
    rules = rules_of(tmp_path, "rules: [{name: bare, kind: label, label: no_mask, for: 1s, cool_down: 1h}]")
    detector = EventDetector(rules)

    def seen(stream):
        frames = [Frame(stream, seq, 0, IMAGE, (person(1, "no_mask"),), media_ms=seq * STEP_MS) for seq in range(15)]
        return [event.rule for frame in frames for event, _ in detector.see(frame)]

    for stream in ("door", "hall"):
        assert seen(stream) == ["decision", "bare"]
    detector.forget("door")
    detector.forget("nobody")
    assert (seen("door"), seen("hall")) == (["decision", "bare"], [])
