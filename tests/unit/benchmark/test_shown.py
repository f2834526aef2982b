"""A benchmark begins when each stream is there, not when the first ones have shown enough for all."""

import json

from benchmark.shown import ShownFrames


def line(stream, seq):
    return json.dumps({"stream": stream, "seq": seq, "age_ms": 1.0, "faces": []}) + "\n"


def test_a_stream_that_has_not_begun_holds_the_benchmark_up(tmp_path):
    path = tmp_path / "frames.jsonl"
    shown = ShownFrames(path)
    assert (shown.count(), shown.of_each(2)) == (0, 0)
    with path.open("a") as lines:
        lines.write("".join(line("a", seq) for seq in range(100)))
        lines.flush()
        assert (shown.count(), shown.of_each(1), shown.of_each(2)) == (100, 100, 0)
        lines.write(line("b", 0) + line("b", 1)[:9])  # the second one is still being written
        lines.flush()
        assert (shown.count(), shown.of_each(2)) == (101, 1)
        lines.write(line("b", 1)[9:])
        lines.flush()
        assert (shown.count(), shown.of_each(2)) == (102, 2)
