"""Which encoder records: one that is asked for is there or refused, and a chip that does not open is no loss."""

import av
import numpy as np
import pytest

from configs.errors import InputError
from configs.schema import OverlayConfig, PipelineConfig, SourceConfig
from overlay import encoders
from overlay.encoders import check_encoder, encoders_of, refusal
from overlay.recorder import Recorder
from overlay.sinks import make_sinks
from pipeline import checked
from transport.frame import Frame
from transport.stage import StageContext

CHIPS = ("nvenc", "qsv")
missing = [chip for chip in CHIPS if refusal(chip)]


def test_auto_takes_the_first_chip_that_opens_and_keeps_x264_behind_it(monkeypatch):
    there = set()
    monkeypatch.setattr(encoders, "refusal", lambda name: "" if name in there else "no driver")
    assert encoders_of("auto") == ("x264",)
    there |= {"qsv"}
    assert encoders_of("auto") == ("qsv", "x264")
    there |= {"nvenc"}
    assert encoders_of("auto") == ("nvenc", "qsv", "x264")
    assert encoders_of("qsv") == ("qsv",)


@pytest.mark.parametrize("chip", missing)
def test_a_chip_that_is_asked_for_and_not_there_is_refused_in_one_line_before_the_run(chip):
    options = PipelineConfig(sources=(SourceConfig(source="demo"),), overlay=OverlayConfig(encoder=chip))
    with pytest.raises(InputError, match=rf"overlay\.encoder {chip}: .* cannot be used here \(.+\): take auto or x264"):
        checked(options)
    check_encoder("auto")


@pytest.mark.parametrize("chip", missing)
def test_a_recording_whose_chip_does_not_open_is_encoded_by_x264_if_it_may(chip, tmp_path, caplog):
    """As where it has all its sessions in use, or the picture is too small for it."""
    picture = np.full((48, 64, 3), 90, np.uint8)
    recorder = Recorder(tmp_path / "o.mp4", picture, (chip, "x264"))
    for seq in range(5):
        recorder.add(picture, Frame("door", seq, 0, picture, media_ms=40.0 * seq))
    recorder.close()
    assert "does not open for 64x48" in caplog.text
    with av.open(str(tmp_path / "o.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 5
    with pytest.raises(InputError, match=r"p\.mp4: cannot be recorded: .* does not open"):
        Recorder(tmp_path / "p.mp4", picture, (chip,))
    assert not (tmp_path / "p.mp4").exists()


def test_the_run_says_what_encodes(tmp_path):
    context = StageContext()
    make_sinks(OverlayConfig(sinks=(f"file:{tmp_path}/o.mp4",), encoder="x264"), context)
    assert context.facts["encoder"] == "x264"


@pytest.mark.parametrize("height", [120, 122, 1082])
def test_pictures_of_any_even_height_come_back_whole(height, tmp_path):
    """PyAV takes a picture without a copy only where its height is a multiple of four."""
    picture = np.full((height, 64, 3), 40, np.uint8)
    picture[-2:] = 220
    recorder = Recorder(tmp_path / "o.mp4", picture)
    for seq in range(3):
        recorder.add(picture, Frame("door", seq, 0, picture, media_ms=40.0 * seq))
    recorder.close()
    with av.open(str(tmp_path / "o.mp4")) as video:
        last = list(video.decode(video=0))[-1].to_ndarray(format="bgr24")
    assert last.shape == picture.shape
    assert np.abs(last.astype(int) - picture).max() <= 8
