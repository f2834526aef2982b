"""Labels beyond ASCII: drawn by a font of this machine that has the letters, else replaced, and said."""

import numpy as np
import pytest

import configs.fonts
from configs.fonts import SCRIPTS, font_for, fonts, lacks, letters_of
from configs.lettering import drawable, in_ascii, mask, ordered, say_undrawable
from doctor.machine import fonts_found
from overlay.draw import annotate
from transport.frame import Box, Face, Prediction


def forget():
    for cached in (configs.fonts._font_with, fonts, mask):
        cached.cache_clear()


@pytest.fixture
def only(monkeypatch, tmp_path):
    """`only(paths...)`: the machine has these fonts and no others."""

    def have(*paths):
        folder = tmp_path / "fonts"
        folder.mkdir(exist_ok=True)
        for path in paths:
            (folder / path.name).write_bytes(path.read_bytes())
        monkeypatch.setattr(configs.fonts, "font_folders", lambda: [folder])
        forget()
        return folder

    yield have
    monkeypatch.undo()
    forget()


@pytest.fixture(scope="module")
def dejavu():
    """DejaVu Sans as matplotlib brings it: Latin, Greek, Cyrillic, Arabic; no Chinese."""
    from pathlib import Path

    matplotlib = pytest.importorskip("matplotlib")
    return Path(matplotlib.__file__).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"


@pytest.fixture(scope="module")
def chinese(tmp_path_factory):
    """A font of two Chinese letters and `a`: a solid square, a frame, a bar."""
    builder = pytest.importorskip("fontTools.fontBuilder").FontBuilder(1000, isTTF=True)
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    def glyph(*boxes):
        pen = TTGlyphPen(None)
        for left, bottom, right, top in boxes:
            pen.moveTo((left, bottom))
            for corner in ((left, top), (right, top), (right, bottom)):
                pen.lineTo(corner)
            pen.closePath()
        return pen.glyph()

    glyphs = {
        ".notdef": glyph((100, 0, 200, 700)),
        "a": glyph((100, 0, 500, 300)),
        "shi": glyph((50, 0, 950, 900)),
        "men": glyph((50, 0, 150, 900), (850, 0, 950, 900)),
        "space": glyph(),
    }
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({ord("a"): "a", ord("视"): "shi", ord("门"): "men", ord(" "): "space"})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Two Letters", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    builder.setupPost()
    path = tmp_path_factory.mktemp("font") / "TwoLetters.ttf"
    builder.save(path)
    return path


def test_the_font_that_has_the_letters_is_found_the_usual_one_first(only, dejavu, chinese):
    folder = only(dejavu, chinese)
    assert font_for("Tür ЖΩ") == (str(folder / "DejaVuSans.ttf"), frozenset())
    assert font_for("视门 a") == (str(folder / "TwoLetters.ttf"), frozenset())
    assert font_for("口罩").missing == {"口", "罩"}
    assert font_for("mask").missing == frozenset()


def test_a_font_without_the_letters_of_the_rest_or_that_is_damaged_is_passed_over(only, dejavu):
    folder = only(dejavu)
    (folder / "AAA.ttf").write_bytes(dejavu.read_bytes()[:3000])
    (folder / "ABC.otf").write_text("no font")
    assert font_for("é").path == str(folder / "DejaVuSans.ttf")
    assert lacks(str(folder / "ABC.otf"), frozenset("é")) == {"é"}


def test_marks_that_are_not_seen_need_no_font():
    assert letters_of("a\u0301 b\ufe0f\u200d\u200f\u00a0\t") == {"á"}


def test_letters_are_drawn_each_in_its_shape(only, chinese, dejavu):
    only(chinese, dejavu)
    square, frame = mask("视", 2.0), mask("门", 2.0)
    assert (square == 255).mean() > 0.8
    assert 0.05 < (frame == 255).mean() < 0.4
    assert mask("Ж", 1.0).tobytes() != mask("Щ", 1.0).tobytes()
    assert mask("Ü", 1.0).shape[0] > mask("Ж", 1.0).shape[0]
    assert mask("视", 2.0) is square
    assert not square.flags.writeable


def test_what_no_font_has_is_replaced(only):
    only()
    assert drawable("Übung 门") == "Ubung ?"
    assert drawable("门") == "?"
    assert drawable("\u200d\ufe0f") == "?"
    assert drawable("a\u00a0b\u200d") == "a b"
    assert in_ascii("ﬁ") == "fi"


def test_what_cannot_be_drawn_is_said_in_one_line_with_what_to_install(only, dejavu, caplog):
    only(dejavu)
    say_undrawable("the class names", ["mask", "Máscara", "маска"])
    assert not caplog.records
    say_undrawable("the class names", ["口罩", "没口罩"])
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith('no font here can draw 口 没 罩 of the class names: "?" stands for them')
    assert "apt-get install fonts-noto-cjk" in line


def test_right_to_left_letters_are_turned_around_where_no_library_does_it():
    assert ordered("קבא - 97.3%") == "אבק - 97.3%"
    assert ordered("door אב גד 1") == "door דג בא 1"
    assert ordered("mask") == "mask"


@pytest.mark.parametrize("size", [(1, 1), (8, 20), (90, 60), (360, 640)], ids=str)
def test_labels_and_corner_are_drawn_inside_pictures_of_any_size(only, dejavu, size):
    only(dejavu)
    picture = np.zeros((*size, 3), np.uint8)
    face = Face(Box(0, 0, *size[::-1]), Prediction("Größe", 0.9, {"Größe": 0.9}))
    drawn = annotate(picture, (face,), "Tür Süd  25.0 fps")
    assert drawn.shape == picture.shape
    assert drawn.any()
    assert not picture.any()


def test_a_label_beyond_ascii_has_its_own_letters_on_the_colour_of_its_class(only, chinese):
    only(chinese)
    face = Face(Box(100, 100, 200, 200), Prediction("视", 0.9, {"视": 0.9}))
    other = Face(Box(100, 100, 200, 200), Prediction("门", 0.9, {"门": 0.9}))
    first, second = (annotate(np.zeros((480, 640, 3), np.uint8), (one,)) for one in (face, other))
    assert (first != second).any()
    label = first[80:99, 100:110]
    assert (label == (0, 140, 255)).all(axis=2).any()


def test_the_doctor_names_font_and_scripts_and_what_to_install(only, dejavu, chinese):
    folder = only()
    nothing = fonts_found()
    assert (nothing.level, "none" in nothing.found) == ("warning", True)
    assert "apt-get install" in nothing.remedy
    only(dejavu)
    found = fonts_found(["Süd"])
    assert f"Latin, Greek, Cyrillic, Arabic, Hebrew by {folder / 'DejaVuSans.ttf'}" in found.found
    assert "none for Devanagari, Thai, Chinese, Japanese, Korean" in found.found
    lacking = fonts_found(["视频"])
    assert (lacking.level, "视" in lacking.found) == ("warning", True)
    assert "fonts-noto-cjk" in lacking.remedy
    assert len(SCRIPTS) >= 10


def test_plots_get_a_font_for_the_letters_that_matplotlib_lacks(only, chinese, tmp_path, caplog):
    pytest.importorskip("matplotlib")
    from train.score import plots

    def drawn(name, classes):
        plots.confusion_matrix(np.eye(2, dtype=np.int64), classes, tmp_path / name)
        return (tmp_path / name).read_bytes()

    only(chinese)
    with_font = drawn("a.png", ("视", "门"))
    assert with_font != drawn("b.png", ("门", "视"))
    assert not caplog.records
    only().joinpath(chinese.name).unlink()
    forget()
    assert drawn("c.png", ("视", "门")) != with_font
    assert "no font here can draw 视 门 of a plot" in caplog.text
