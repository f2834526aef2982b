"""Decoding on a chip: what is not there is told before, what fails later is decoded by the CPU, and all is the same."""

import logging

import av
import numpy as np
import pytest

from capture import chip_decoder, chips
from capture.chips import CHIPS, NoChip, check_decode, has_node, open_chip, refusal
from capture.decoder import Decoder
from capture.kinds.film import Film
from capture.patience import Patience
from capture.picture import Place
from capture.sources import check_source, open_source
from configs.errors import InputError
from configs.schema import SourceConfig

missing = [name for name in CHIPS if refusal(name)]
there = [name for name in CHIPS if not refusal(name)]


class SoftChip:
    """What a chip's decoder does, on the CPU: it gives NV12, and fails at one packet and from then on."""

    def __init__(self, fails_at=None, gives=True):
        vars(self).update(fails_at=fails_at, gives=gives, packets=0, pix_fmt="cuda")

    def open(self, name, codec):
        vars(self)["inner"] = av.CodecContext.create(codec, "r")
        return self

    def decode(self, packet):
        vars(self)["packets"] += 1
        if self.fails_at is not None and self.packets > self.fails_at:
            raise av.error.ExternalError(542398533, "Generic error in an external library")
        frames = [frame.reformat(format="nv12") for frame in self.inner.decode(packet)]
        return frames if self.gives else []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __setattr__(self, name, value):
        setattr(self.inner, name, value)


@pytest.fixture
def use_chip(monkeypatch):
    def use(chip):
        monkeypatch.setattr(chips, "has_node", lambda name: name == "cuda")
        monkeypatch.setattr(chip_decoder, "open_chip", chip.open)

    return use


def pictures(film, room):
    out = []
    with film:
        while (picture := film.read(room)) is not None:
            out.append((picture.image.copy(), picture.media_ms, picture.corrupt))
    return out


def same(these, those):
    assert [one[1:] for one in these] == [one[1:] for one in those]
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(these, those, strict=True))
    return True


@pytest.mark.skipif(has_node("cuda"), reason="there is a driver")
def test_without_a_driver_pyav_raises_although_software_is_allowed(clip):
    """Why it is never given to `av.open`: a network camera would have to be opened twice."""
    from av.codec.hwaccel import HWAccel

    with pytest.raises(PermissionError):
        av.open(str(clip()), hwaccel=HWAccel("cuda", allow_software_fallback=True))
    with pytest.raises(PermissionError):
        open_chip("cuda", "h264")


def test_pyav_decodes_on_the_cpu_and_says_nothing_where_its_decoder_is_none_for_the_device(clip):
    from av.codec.hwaccel import HWAccel

    with av.open(str(clip()), hwaccel=HWAccel("qsv", allow_software_fallback=True)) as container:
        assert not container.streams.video[0].codec_context.is_hwaccel
    with pytest.raises(NoChip):
        open_chip("qsv", "ffv1")
    with pytest.raises(NoChip):
        open_chip("cuda", "ffv1")


@pytest.mark.skipif("qsv" in there, reason="Quick Sync is there")
def test_why_a_chip_cannot_be_used_is_not_taken_for_a_codec_without_one(monkeypatch):
    with pytest.raises(NoChip, match="it does not open"):
        open_chip("qsv", "h264")
    monkeypatch.setattr(chips, "has_node", lambda name: True)
    assert refusal.__wrapped__("qsv") == "it does not open"


def test_a_chip_that_opens_is_asked_for_a_picture(monkeypatch):
    """NVDEC opens in a container without the library that decodes, and FFmpeg goes on in software without a word."""
    monkeypatch.setattr(chips, "has_node", lambda name: True)
    monkeypatch.setattr(chips, "open_chip", lambda name, codec: av.CodecContext.create(codec, "r"))
    assert refusal.__wrapped__("cuda").startswith("it opens and decodes no H.264; a container needs NVIDIA_DRIVER")
    monkeypatch.setattr(chips, "open_chip", lambda name, codec: SoftChip().open(name, codec))
    assert refusal.__wrapped__("cuda") == ""


@pytest.mark.parametrize("name", missing)
def test_a_chip_that_is_asked_for_and_not_there_is_refused_before_the_source_is_opened(name, clip):
    with pytest.raises(InputError, match=rf"decode {name}: .* cannot be used here \(.+\): take auto or cpu"):
        check_source(SourceConfig(source=str(clip()), decode=name))
    check_decode("auto")
    check_decode("cpu")


def test_decode_is_an_option_of_what_ffmpeg_decodes():
    with pytest.raises(InputError, match=r"decode is for .*a network camera.*; demo is the demo"):
        check_source(SourceConfig(source="demo", decode="cpu"))


@pytest.mark.skipif(bool(there), reason="a chip is there")
def test_by_default_a_film_is_decoded_on_the_cpu_where_there_is_no_chip(clip, room, monkeypatch):
    """Also where a driver's file is there and nothing behind it; so much is looked for in each capture."""
    path = clip(count=5)
    with open_source(SourceConfig(source=str(path))) as film:
        assert film.decodes == "cpu"
    monkeypatch.setattr(chips, "has_node", lambda name: True)
    film = open_source(SourceConfig(source=str(path)))
    assert film.decodes == "cpu"
    assert same(pictures(film, room), pictures(Film(path), room))


def test_a_chip_that_cannot_decode_what_is_sent_is_missed_in_one_line(clip, room, monkeypatch, caplog):
    monkeypatch.setattr(chips, "has_node", lambda name: True)
    path = clip("a.mkv", count=3, codec="ffv1")
    film = Film(path, decode="cuda")
    assert len(pictures(film, room)) == 3
    assert film.decodes == "cpu"
    assert [record.message for record in caplog.records] == [
        "NVIDIA's NVDEC: it has no decoder for ffv1; the CPU decodes instead"
    ]


@pytest.mark.parametrize("turned", [0, 90])
@pytest.mark.parametrize("options", [{}, {"preset": "medium", "bf": "3", "g": "10"}, {"codec": "mpeg4"}])
def test_pictures_of_a_chip_are_those_of_the_cpu(turned, options, clip, room, use_chip):
    """In its own layout they would not be: up to 94 of 255 apart. How they are turned only the container says."""
    path = clip(count=30, turned=turned, **options)
    use_chip(chip := SoftChip())
    film = Film(path, decode="auto")
    assert film.decodes == "cuda"
    assert same(pictures(film, room), pictures(Film(path), room))
    assert chip.packets == 31


@pytest.mark.parametrize("fails_at", [0, 1, 9, 10, 11, 12, 15, 29, 30])
def test_where_a_chip_fails_no_picture_is_lost_and_none_comes_twice(fails_at, clip, room, use_chip, caplog):
    path = clip(count=30, preset="medium", bf="3", g="10", turned=90)
    use_chip(SoftChip(fails_at))
    film = Film(path, decode="cuda")
    with caplog.at_level(logging.WARNING, "capture"):
        found = pictures(film, room)
    assert same(found, pictures(Film(path), room))
    assert film.decodes == "cpu"
    assert [record.message for record in caplog.records] == [
        "NVIDIA's NVDEC: Generic error in an external library; the CPU decodes instead"
    ]


@pytest.mark.parametrize("fails_at", [None, 14])
def test_a_live_stream_loses_no_picture_either(fails_at, clip, use_chip):
    path = clip("a.ts", count=30, preset="medium", bf="2", g="10")
    use_chip(SoftChip(fails_at))
    decoder = Decoder(str(path), patience=Patience(5.0), decode="auto")
    times = [frame.pts for frame in decoder.frames()]
    assert len(times) == len(set(times)) == 30
    assert times == sorted(times)
    assert decoder.decodes == ("cpu" if fails_at else "cuda")
    decoder.close()


@pytest.mark.parametrize("count", [20, 100])
def test_a_chip_that_gives_no_pictures_is_given_up(count, clip, room, use_chip, caplog):
    path = clip(count=count)
    use_chip(SoftChip(gives=False))
    assert same(pictures(Film(path, decode="auto"), room), pictures(Film(path), room))
    assert caplog.text.count("it gives no pictures; the CPU decodes instead") == 1


def test_a_profile_that_a_chip_does_not_have_is_decoded_in_software_by_ffmpeg_itself(clip, room, use_chip, caplog):
    path = clip(count=5)
    use_chip(chip := SoftChip())
    vars(chip)["pix_fmt"] = "yuv420p"
    film = Film(path, decode="auto")
    assert same(pictures(film, room), pictures(Film(path), room))
    assert film.decodes == "cpu"
    assert caplog.text.count("it does not decode h264 as yuv420p; the CPU decodes instead") == 1


def test_packets_that_are_damaged_are_no_fault_of_the_chip(clip, room, use_chip, caplog):
    path = clip("a.ts", count=60, g="10")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle + 8 : middle + 188 * 20 : 3] = bytes(len(data[middle + 8 : middle + 188 * 20 : 3]))
    path.write_bytes(data)
    use_chip(SoftChip())
    film = Film(path, decode="auto")
    assert same(pictures(film, room), pictures(Film(path), room))
    assert film.decodes == "cuda"
    assert "the CPU decodes instead" not in caplog.text


def test_a_film_goes_on_at_its_bookmark_on_a_chip(clip, room, use_chip, monkeypatch):
    monkeypatch.setattr("capture.kinds.film._BOOKMARK_EVERY_S", 0.0)
    path = clip(count=60, g="10", preset="medium", bf="2")
    use_chip(SoftChip())
    with Film(path, decode="auto") as film:
        read = [film.read(room) for _ in range(35)]
    marks = [(number, picture.bookmark) for number, picture in enumerate(read) if picture.bookmark]
    place = Place(35, tuple(reversed(marks)))
    assert marks
    assert same(pictures(Film(path, place=place, decode="auto"), room), pictures(Film(path), room)[35:])


def test_pixels_that_are_no_squares_are_told_by_the_chip(clip, room, use_chip):
    from fractions import Fraction

    path = clip(count=3, pixel_shape=Fraction(2))
    use_chip(SoftChip())
    assert same(pictures(Film(path, decode="auto"), room), pictures(Film(path), room))


@pytest.mark.skipif(not there, reason="no chip that decodes")
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p"])
def test_the_chips_that_are_here_give_the_pictures_of_the_cpu(pixels, clip, room):
    path = clip(count=60, size=(640, 480), pixels=pixels, preset="medium", bf="3", g="10", turned=90)
    for name in there:
        assert same(pictures(Film(path, decode=name), room), pictures(Film(path), room))


def test_what_is_only_recorded_is_not_decoded(clip):
    decoder = Decoder(str(clip(count=5)))
    assert len(list(decoder.packets())) == 5
    assert decoder.decodes == "cpu"
    decoder.close()
