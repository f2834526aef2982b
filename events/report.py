"""One page about what happened: counts by hour and label, as a table and as bars, with the known limits beside them."""

from __future__ import annotations

from collections import Counter
from html import escape

from configs.known_misses import LIVE_PX, MEASURED_ON, SEEN, WIDE_PX
from configs.plural import counted
from events.event import Event, utc
from share.errors import errors_of_shipped
from share.told import MaskShare, mask_share

COLOURS = {"mask": "#2fbf71", "no_mask": "#ff5d5d", "wrong_mask": "#5b8cff"}
OTHER = ("#ff9f40", "#b77bff", "#35c9d6")
LIMITS = (
    "Faces that are not seen are not counted. What each detector sees stands in the table below; it is not the same "
    "share of masked, bare and wrongly masked faces, so the counts here are off by that.",
    "Who is hidden for longer than 2 s counts twice.",
    "The model is wrong for some faces, and says “wrong mask” too readily; accuracy and recall by class "
    "stand in its card, beside what it was measured on.",
)
_STYLE = """html{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:.15rem .5rem;border-bottom:1px solid #8884}
th:first-child,td:first-child{text-align:left}svg{width:100%;height:12rem;background:#8881}.note{opacity:.8}
i{display:inline-block;width:.8rem;height:.8rem;margin:0 .3rem 0 1rem}"""


def page(events: list[Event], span: str, now_s: float, detector: str = "haar", width_px: int = LIVE_PX) -> str:
    """The whole page as HTML; nothing is loaded from elsewhere.

    A history does not say what found the faces: `detector` and `width_px` do, the least width that was searched.
    """
    decisions = [event for event in events if event.rule == "decision"]
    labels = sorted({event.label or "" for event in decisions})
    colours = {label: COLOURS.get(label, OTHER[index % len(OTHER)]) for index, label in enumerate(labels)}
    hours = _hours(decisions)
    counts = Counter((event.time[:13], event.label or "") for event in decisions)
    totals = Counter(event.label or "" for event in decisions)
    rules = Counter((event.rule, event.stream) for event in events if event.rule != "decision")
    streams = Counter((event.stream, event.label or "") for event in decisions)
    rows = [[f"{hour.replace('T', ' ')}:00", *(counts[hour, label] for label in labels)] for hour in hours]
    names = [_words(label) for label in labels]
    legend = "".join(f'<i style="background:{colours[label]}"></i>{escape(_words(label))}' for label in labels)
    parts = [
        f"<h1>maskstream: the last {escape(span)}</h1>",
        f"<p>Until {utc(now_s)} (UTC). {counted(len(decisions), 'decision')} about faces seen, "
        f"{len(events) - len(decisions)} other events.</p>",
        *_share(share_of(decisions, detector, width_px), detector, width_px),
        "<h2>Known limits</h2><ul>" + "".join(f"<li>{escape(limit)}</li>" for limit in LIMITS) + "</ul>",
        f"<h2>What the detectors see</h2><p>Of {escape(MEASURED_ON)}, searched {WIDE_PX} px wide and, as live "
        f"pictures are, {LIVE_PX} px wide:</p>",
        _table(["detector, width", "bare", "masked", "wrongly masked", "false boxes a photograph"], _seen_rows()),
        "<h2>Decisions about faces seen, by hour</h2>",
        f"<p>{legend}</p>" + _bars(hours, labels, counts, colours) if decisions else "<p>None.</p>",
        _table(["hour (UTC)", *names], rows, ["all", *(totals[label] for label in labels)]) if decisions else "",
        "<h2>By stream</h2>",
        _table(
            ["stream", *names],
            [[stream, *(streams[stream, label] for label in labels)] for stream in sorted({s for s, _ in streams})],
        ),
        "<h2>Rules</h2>",
        _table(["rule", "stream", "events"], [[rule, stream, count] for (rule, stream), count in sorted(rules.items())])
        if rules
        else "<p>No rule was met.</p>",
    ]
    head = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>maskstream report</title><style>{_STYLE}</style>'
    )
    return head + "\n".join(parts) + "</html>\n"


def share_of(decisions: list[Event], detector: str, width_px: int) -> MaskShare:
    """The share of masks among the persons, each with what was decided of it last."""
    persons: Counter[str] = Counter()
    newest: dict[tuple[str, str, int | None], str] = {}
    for event in decisions:
        key, label = (event.run, event.stream, event.track), event.label or ""
        if event.before and newest.get(key) == event.before:  # else it was decided before the first hour of the page
            persons[event.before] -= 1
        persons[label] += 1
        newest[key] = label
    return mask_share(persons, errors_of_shipped(detector, width_px))


def _share(share: MaskShare, detector: str, width_px: int) -> list[str]:
    """The share in words, and under which condition the adjusted one holds."""
    parts = ["<h2>Share of masks</h2>", f"<p>{escape(share.text)}</p>"]
    if share.adjusted is not None:
        parts.append(
            f"<p>Each person counts once, as last decided. The adjusted share holds if {escape(detector)} found the "
            f"faces, {width_px} px wide or wider, and the model that ships labelled them: a history does not say so. "
            f"Errors known of {escape(share.errors)}. The interval allows for chance among the persons counted, for "
            "how few faces the errors were counted on, and for errors of this camera's own. Who was not seen is not "
            "without a mask: faces are thought to be missed as in the photographs.</p>"
        )
    return parts


def _seen_rows() -> list[list[object]]:
    return [
        [
            f"{name}, {width} px",
            *(f"{share:.0%}" for share in (seen.bare, seen.masked, seen.wrong)),
            f"{seen.false:.2f}",
        ]
        for name, widths in SEEN.items()
        for width, seen in widths.items()
    ]


def _hours(events: list[Event]) -> list[str]:
    """The hours in which something happened, as `2026-11-25T13`."""
    return sorted({event.time[:13] for event in events})


def _bars(hours: list[str], labels: list[str], counts: Counter[tuple[str, str]], colours: dict[str, str]) -> str:
    """A stacked bar for each hour."""
    most = max(sum(counts[hour, label] for label in labels) for hour in hours)
    bars = []
    for index, hour in enumerate(hours):
        top = 100.0
        for label in labels:
            height = 100 * counts[hour, label] / most
            top -= height
            title = f"{hour.replace('T', ' ')}:00 {_words(label)}: {counts[hour, label]}"
            bars.append(
                f'<rect x="{index}.05" y="{top:.2f}" width=".9" height="{height:.2f}" fill="{colours[label]}">'
                f"<title>{escape(title)}</title></rect>"
            )
    box = f'viewBox="0 0 {max(len(hours), 6)} 100" preserveAspectRatio="none" role="img"'
    return f'<svg {box} aria-label="decisions about faces seen, by hour">' + "".join(bars) + "</svg>"


def _table(heads: list[str], rows: list[list[object]], last: list[object] | None = None) -> str:
    def line(kind: str, cells: list[object]) -> str:
        return "<tr>" + "".join(f"<{kind}>{escape(str(cell))}</{kind}>" for cell in cells) + "</tr>"

    body = "".join(line("td", row) for row in rows) + (line("th", last) if last else "")
    return f"<table>{line('th', list(heads))}{body}</table>"


def _words(label: str) -> str:
    return label.replace("_", " ")
