"""What is asked of a run's streams, and how it is answered."""

import json

import pytest

from capture.sources import admitted
from configs.errors import InputError
from run.changes import Changes
from transport.codec import Command


def admit(source, taken):
    name = source.decode()
    if name in taken:
        raise InputError(f"the name {name} is taken")
    return name, None


class Run:
    """Stands in for the supervisor; `go` is what happens when a removed stream's capture has ended."""

    def __init__(self, *names):
        self.wanted = dict.fromkeys(names, "present")
        self.ended, self.answers, self.is_running = set(), [], True

    def add(self, stream, config):
        self.wanted[stream] = "present"

    def has_ended(self, stream):
        return stream in self.ended

    def answer(self, text):
        self.answers.append(json.loads(text))

    def go(self):
        self.wanted = {name: wanted for name, wanted in self.wanted.items() if wanted != "absent"}


@pytest.fixture
def run():
    return Run("door", "yard")


@pytest.fixture
def ask(run):
    changes = Changes(admit)
    numbers = iter(range(1, 100))

    def ask(action, stream="", source=b""):
        number = next(numbers)
        changes.take(run, Command(number, action, stream, source))
        return number

    ask.changes = changes
    return ask


def said(run):
    return [(answer["number"], answer.get("stream") or answer["error"]) for answer in run.answers]


def test_who_removes_a_stream_is_answered_when_it_is_gone_however_many_asked(run, ask):
    ask("remove", "yard")
    ask("remove", "yard")
    ask.changes.advance(run)
    assert run.answers == []
    run.go()
    ask.changes.advance(run)
    assert said(run) == [(1, "yard"), (2, "yard")]
    ask.changes.advance(run)
    assert len(run.answers) == 2


def test_a_stream_that_is_being_removed_is_neither_paused_nor_counted_as_one_that_is_left(run, ask):
    ask("remove", "yard")
    ask("pause", "yard")
    ask("remove", "door")
    assert said(run) == [(2, "stream yard is being removed"), (3, "door is the last stream: end the run instead")]


def test_a_name_is_taken_until_its_stream_is_gone(run, ask):
    ask("remove", "yard")
    ask("add", source=b"yard")
    run.go()
    ask("add", source=b"yard")
    assert said(run) == [(2, "the name yard is taken"), (3, "yard")]


def test_pause_and_resume_say_what_is_wanted(run, ask):
    ask("pause", "yard")
    assert run.wanted == {"door": "present", "yard": "paused"}
    ask("resume", "yard")
    assert run.wanted == {"door": "present", "yard": "present"}
    run.ended.add("door")
    ask("pause", "door")
    ask("pause", "hall")
    ask("fly", "door")
    assert [text for _, text in said(run)[2:]] == [
        "stream door has ended",
        "no stream 'hall'",
        "unknown action 'fly': add, remove, pause or resume",
    ]


@pytest.mark.parametrize(
    "source", [b"", b"{", b"\xff\xfe", b"[" * 10_000, b'"x"', b'{"source": 1}', b'{"source": "a\\u0000b"}']
)
def test_no_source_that_is_given_ends_the_run(run, source):
    Changes(admitted).take(run, Command(1, "add", "", source))
    assert [answer["ok"] for answer in run.answers] == [False]


def test_a_bug_in_one_command_is_its_answer(run):
    def broken(source, taken):
        raise ZeroDivisionError("division by zero")

    Changes(broken).take(run, Command(1, "add", "", b"{}"))
    assert said(run) == [(1, "ZeroDivisionError: division by zero")]


def test_nothing_is_changed_while_the_run_ends(run, ask):
    run.is_running = False
    ask("remove", "yard")
    assert said(run) == [(1, "the run is not running: try again later")]
    assert set(run.wanted.values()) == {"present"}
