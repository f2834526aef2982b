"""The overlay stage: what happens to each frame, and to the sinks when something goes wrong."""

import time

import numpy as np
import pytest
from msgspec.structs import replace

import overlay.stage
from configs.errors import InputError
from configs.schema import OverlayConfig
from overlay.away import AwayMonitor
from overlay.sinks.sink import Sink
from transport.frame import Box, Ended, Face, Frame
from transport.stage import StageContext


class Seen(Sink):
    def __init__(self, wants_pixels=True, fails_to_close=False):
        self.wants_pixels, self.fails_to_close = wants_pixels, fails_to_close
        self.pictures, self.frames, self.idle_calls, self.ends, self.closed = [], [], [], [], False

    def show(self, frame, picture, age_ms):
        self.frames.append(frame)
        self.pictures.append(picture)

    def idle(self, silent_s):
        self.idle_calls.append(silent_s)

    def ended(self, stream):
        self.ends.append((stream, len(self.frames)))

    def close(self):
        self.closed = True
        if self.fails_to_close:
            raise InputError("disk full")


def live(seq=0, age_ms=0.0, stream="door") -> Frame:
    image = np.full((120, 160, 3), 90, np.uint8)
    image.setflags(write=False)
    captured_ns = time.monotonic_ns() - round(age_ms * 1e6)
    return Frame(stream, seq, captured_ns, image, faces=(Face(Box(40, 40, 50, 60)),), live=True)


def run(monkeypatch, sinks, batches, **options) -> list[Ended]:
    monkeypatch.setattr(overlay.stage, "make_sinks", lambda config, context: sinks)
    return list(overlay.stage.overlay(OverlayConfig(sinks=("null",), **options), batches, StageContext()))


def test_every_frame_is_shown_once_in_order_and_drawn_on_a_copy(monkeypatch):
    frames = [live(seq) for seq in range(5)]
    sink = Seen()
    ended = run(monkeypatch, [sink], [frames[:2], [], frames[2:]])
    assert [(end.frame.seq, end.outcome) for end in ended] == [(seq, "shown") for seq in range(5)]
    assert sink.frames == frames
    assert sink.closed
    assert all((picture != 90).any() for picture in sink.pictures)
    assert all((frame.image == 90).all() for frame in frames)


def test_all_sinks_that_look_share_one_drawn_copy(monkeypatch):
    sinks = [Seen(), Seen(wants_pixels=False), Seen()]
    run(monkeypatch, sinks, [[live()]])
    assert sinks[0].pictures[0] is sinks[2].pictures[0]
    assert not sinks[1].pictures[0].size


def test_nothing_is_copied_when_no_sink_looks_at_the_picture(monkeypatch):
    sink, frame = Seen(wants_pixels=False), live()
    run(monkeypatch, [sink], [[frame]])
    assert not sink.pictures[0].size


def test_a_live_frame_that_is_too_old_ends_as_stale(monkeypatch):
    sink = Seen()
    ended = run(monkeypatch, [sink], [[live(0, age_ms=900), live(1, age_ms=1)]], max_age_ms=500)
    assert [end.outcome for end in ended] == ["stale", "shown"]
    assert [frame.seq for frame in sink.frames] == [1]


def test_frames_of_files_and_folders_are_never_stale(monkeypatch):
    of_file, of_folder = (
        replace(live(0, age_ms=900), media_ms=40.0, live=False),
        replace(live(1, age_ms=900), name="a.png", live=False),
    )
    ended = run(monkeypatch, [Seen()], [[of_file, of_folder]], max_age_ms=500)
    assert [end.outcome for end in ended] == ["shown", "shown"]


def test_without_an_age_limit_nothing_is_stale(monkeypatch):
    assert [end.outcome for end in run(monkeypatch, [Seen()], [[live(age_ms=1e6)]])] == ["shown"]


def test_the_corner_text_can_be_switched_off(monkeypatch):
    sinks = [Seen(), Seen()]
    run(monkeypatch, sinks[:1], [[replace(live(), faces=())]], corner=False)
    run(monkeypatch, sinks[1:], [[replace(live(), faces=())]])
    assert (sinks[0].pictures[0] == 90).all()
    assert (sinks[1].pictures[0][:12] != 90).any()


def test_every_sink_is_closed_also_when_one_fails_to(monkeypatch):
    sinks = [Seen(), Seen(fails_to_close=True), Seen()]
    with pytest.raises(InputError, match="disk full"):
        run(monkeypatch, sinks, [[live()]])
    assert all(sink.closed for sink in sinks)


def test_every_sink_is_closed_when_the_run_is_broken_off(monkeypatch):
    sink = Seen()
    monkeypatch.setattr(overlay.stage, "make_sinks", lambda config, context: [sink])
    frames = overlay.stage.overlay(OverlayConfig(), iter([[live()], [live()]]), StageContext())
    next(frames)
    frames.close()
    assert sink.closed


def test_a_bad_sink_is_refused_before_the_first_batch_is_asked_for():
    def batches():
        pytest.fail("asked for a batch")
        yield []

    with pytest.raises(InputError, match="unknown sink 'fax'"):
        list(overlay.stage.overlay(OverlayConfig(sinks=("fax",)), batches(), StageContext()))


def test_the_stage_says_where_it_shows():
    context = StageContext()
    list(overlay.stage.overlay(OverlayConfig(sinks=("null",)), [], context))
    assert context.facts == {"sinks": "null"}


def test_sinks_are_told_when_nothing_comes(monkeypatch):
    sink = Seen()
    run(monkeypatch, [sink], [[]])
    assert sink.idle_calls == [{}]


def test_a_live_stream_is_away_after_two_silent_seconds():
    away = AwayMonitor()
    away.heard(live(stream="door"), now_s=100)
    away.heard(live(stream="hall"), now_s=102)
    away.heard(replace(live(stream="clip"), media_ms=0.0, live=False), now_s=100)
    assert away.silent_s(now_s=101) == {}
    assert away.silent_s(now_s=103.5) == {"door": 3.5}
    away.heard(live(stream="door"), now_s=104)
    assert away.silent_s(now_s=105) == {"hall": 3}
    away.forget("hall")  # it was removed
    assert away.silent_s(now_s=3600) == {"door": 3496}


def test_silence_is_looked_for_twice_a_second_however_fast_the_batches_come():
    away = AwayMonitor()
    assert [away.due(10 + i / 100) for i in range(100)].count(True) == 3


def test_sinks_are_told_that_a_stream_ended_after_its_last_frame_and_one_of_its_name_is_new(monkeypatch):
    sink, context = Seen(), StageContext()
    monkeypatch.setattr(overlay.stage, "make_sinks", lambda config, context: [sink])

    def batches():
        yield [live(0), live(1), live(0, stream="hall")]
        context.ended.append("door")
        yield []
        context.ended.clear()
        yield [live(0)]

    list(overlay.stage.overlay(OverlayConfig(sinks=("null",)), batches(), context))
    assert sink.ends == [("door", 3)]
    assert [(frame.stream, frame.seq) for frame in sink.frames[3:]] == [("door", 0)]


class Unfinishable(Seen):
    def ended(self, stream):
        raise InputError(f"{stream}.mp4: cannot be written (No space left on device)")


def test_a_face_that_was_hidden_is_not_hidden_in_another_stream_of_the_name(monkeypatch):
    sink, context = Seen(), StageContext()
    monkeypatch.setattr(overlay.stage, "make_sinks", lambda config, context: [sink])
    first, second = replace(live(), faces=(Face(Box(40, 40, 50, 60), track=1),)), replace(live(1), faces=())
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)

    def batches():
        yield [replace(first, pixels=noise)]
        context.ended.append("door")
        yield []
        context.ended.clear()
        yield [replace(second, pixels=noise)]

    list(overlay.stage.overlay(OverlayConfig(sinks=("null",), privacy="blur"), batches(), context))
    assert [bool((frame.image != noise).any()) for frame in sink.frames] == [True, False]


@pytest.mark.parametrize(("is_live", "ends_the_run"), [(True, False), (False, True)])
def test_what_cannot_be_finished_of_a_film_ends_the_run_and_of_a_camera_is_said(
    monkeypatch, caplog, is_live, ends_the_run
):
    sinks, context = [Unfinishable(), Seen()], StageContext()
    monkeypatch.setattr(overlay.stage, "make_sinks", lambda config, context: sinks)

    def batches():
        yield [replace(live(), live=is_live, media_ms=None if is_live else 0.0)]
        context.ended.append("door")
        yield []

    def run():
        list(overlay.stage.overlay(OverlayConfig(sinks=("null",)), batches(), context))

    if ends_the_run:
        with pytest.raises(InputError, match="No space left"):
            run()
    else:
        run()
        assert sinks[1].ends == [("door", 1)]
    assert "could not be finished" in caplog.text
    assert all(sink.closed for sink in sinks)
