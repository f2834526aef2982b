"""The table of figures in a page: made of its commands' JSON, put between two markers, or the page stays as it was."""

import inspect

import pytest
from test_benchmark_report import full_report, real

from benchmark import page_figures as module
from benchmark.__main__ import benchmark
from benchmark.find_max import FindMax
from benchmark.idle import Idle
from benchmark.page_figures import BEGIN, COMMANDS, END, options_of_page, placed, table, write_figures
from benchmark.pipeline import FlatOut
from benchmark.recorded import Drawn, Packets, Recorded
from benchmark.report import Report
from benchmark.score import Scores
from configs.errors import Failure, InputError

SIGNATURE = inspect.signature(benchmark)
USUAL = {name: one.default for name, one in SIGNATURE.parameters.items()}


def most(streams):
    return FindMax(
        streams=streams,
        limited_by="detect",
        why="p95 age 150 ms",
        held=real(streams) if streams else None,
        tried={},
        cpu_ms_per_frame={},
    )


@pytest.fixture
def answers(monkeypatch):
    """What each command has measured, by its options; no process is started."""
    flat = full_report()
    scores = dict.fromkeys(Scores.__struct_fields__, 0) | {"recall": 0.998, "label_accuracy": 0.97}
    flat.flat_out = FlatOut(
        **{name: getattr(flat.flat_out, name) for name in FlatOut.__struct_fields__} | {"scores": Scores(**scores)}
    )
    idle = Idle(
        cores={"supervisor": 0.1, "capture": 0.12, "detect": 0.06},
        decoding_cores=0.09,
        fps=30.0,
        searches_per_s=0.5,
        faces=0,
    )
    drawn = Drawn(alone_p99_ms=15.8, recorded_p99_ms=17.0, recorded=1687, not_recorded=304)
    recorded = Recorded(Packets(alone=most(4), recorded=most(3)), drawn)
    made = {
        (): flat,
        ("--detector", "maskface"): flat,
        ("--find-max",): Report(clip="film", find_max=most(7)),
        ("--find-max", "--detector", "maskface"): Report(clip="film", find_max=most(0)),
        ("--compare",): flat,
        ("--idle",): Report(idle=idle),
        ("--record",): Report(recorded=recorded),
    }
    found = {words: report.as_json() for words, report in made.items()}
    monkeypatch.setattr(module, "measured", lambda words: found[tuple(words[: words.index("--rounds")])])
    return found


def test_each_figure_stands_beside_its_command(answers):
    text = table([(one.words, one, answers[one.words]) for one in COMMANDS])
    head, empty, *rows = text.splitlines()
    assert " core" in head
    assert "python 3." in head
    assert (empty, rows[:2]) == ("", ["| what | figure | command |", "|---|---|---|"])
    for row in (
        "| frames/s of film | 400, 0.40 of decoding alone | `maskstream benchmark` |",
        "| CPU of a frame, memory of all processes | 14.0 ms, 300 MB | `maskstream benchmark` |",
        "| faces found, labels right | 99.8%, 97.0% | `maskstream benchmark --detector maskface` |",
        "| streams held of film | 7, worst p95 age 20 ms | `maskstream benchmark --find-max` |",
        "| streams held of film | 0 | `maskstream benchmark --find-max --detector maskface` |",
        "| CPU of a camera before an empty room | 0.18 of a core, 2.0 times decoding alone |"
        " `maskstream benchmark --idle` |",
        "| 1080p25 cameras held, seen alone / also recorded by `record:` | 4 / 3 | `maskstream benchmark --record` |",
    ):
        assert row in rows
    assert any("ResNet, random weights | 320, 80.0 times the original" in row for row in rows)
    assert any("15.8 / 17.0 ms, 304 of 1991 frames not recorded" in row for row in rows)
    assert any("5 / 20 / 40 ms, 0 dropped" in row for row in rows)


def test_the_block_is_replaced_as_a_whole_and_nothing_else(answers, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n{BEGIN}\nold\n{END}\nafter\n")
    lines = []
    write_figures(page, ["--idle"], ["--rounds", "3"], lines.append)
    once = page.read_text()
    assert lines == ["1 of 1: maskstream benchmark --idle --rounds 3"]
    assert "old" not in once
    assert once.startswith(f"# Before\n{BEGIN}\n\n")
    assert once.endswith(f"| `maskstream benchmark --idle --rounds 3` |\n\n{END}\nafter\n")
    write_figures(page, [], ["--rounds", "3"], lines.append)
    assert page.read_text().count("maskstream benchmark") == 15
    assert len(lines) == 1 + len(COMMANDS)


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_without_a_place_is_refused_before_anything_is_measured(text, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(InputError, match=r"page\.md: the table goes between a line .* put both there, once") as refusal:
        write_figures(page, [], [], lambda line: pytest.fail("it began to measure"))
    assert "\n" not in str(refusal.value)
    assert page.read_text() == text


def test_a_command_that_fails_leaves_the_page_as_it_was(tmp_path, capfd):
    page = tmp_path / "page.md"
    page.write_text(placed_text := f"{BEGIN}\nold\n{END}")
    with pytest.raises(Failure, match="benchmark --idle --rounds 0 failed, and the page stays as it was"):
        write_figures(page, ["--idle"], ["--rounds", "0"], lambda line: None)
    assert "--rounds" in capfd.readouterr().err
    assert page.read_text() == placed_text


def test_what_is_asked_for_and_given_goes_to_the_commands():
    given = USUAL | {"idle": True, "rounds": 3, "settings": ["detect.width=320"], "docs": "page.md"}
    assert options_of_page(given, SIGNATURE) == (["--idle"], ["--rounds", "3", "--set", "detect.width=320"])
    assert options_of_page(USUAL, SIGNATURE) == ([], [])
    for name, value in (("json_", True), ("detector", "maskface"), ("clip", "x.mp4")):
        with pytest.raises(InputError, match=f"--{name.strip('_')}: --docs has commands of its own"):
            options_of_page(USUAL | {name: value}, SIGNATURE)


def test_the_readme_has_a_place_for_the_table():
    assert END in placed(module.ROOT / "README.md", "")
