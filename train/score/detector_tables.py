"""The figures of a detector in words: tables for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from configs.console import console
from train.score.html_page import Table
from train.score.mask_shares import difference

LIVE_WIDTH_PX = 320  # at which the time of a live search is measured


def tables_of(scores: dict[str, Any], classes: Sequence[str]) -> list[Table]:
    """The figures in words."""
    by_class = [
        [name, str(scores["faces"][name]), said(scores["recall"][name]), said(scores["precision"][name])]
        for name in classes
    ]
    by_size = [
        [f"{name} px", said(scores["recall_by_size"][name]), said(scores["precision_by_size"][name])]
        for name in scores["recall_by_size"]
    ]
    shares = [
        [words, said(scores[key]), span(scores[f"{key}_ci95"])]
        for key, words in (
            ("true_mask_share", "true"),
            ("seen_mask_share", "true, among the faces found"),
            ("labelled_mask_share", "as labelled, among the faces found"),
            ("reported_mask_share", "reported: false boxes, too"),
            ("mask_share_error", "reported minus true"),
        )
    ]
    parts, spans = scores["mask_share_error_parts"], scores["mask_share_error_parts_ci95"]
    shares += [[f"of this by {part.replace('_', ' ')}", said(parts[part]), span(spans[part])] for part in parts]
    adjusted, true = scores["mask_share"], scores["true_mask_share"]
    if adjusted["adjusted"] is not None:
        ends = ends_of(adjusted)
        shares.append(["reported, adjusted for known errors", said(adjusted["adjusted"]), span(ends)])
        shares.append(["adjusted minus true", said(difference(true, adjusted["adjusted"])), ""])
    unannotated = (
        [
            ["of these probably faces that nobody annotated", str(scores["unannotated_40"])],
            ["and false", str(scores["false_boxes_40"] - scores["unannotated_40"])],
        ]
        if scores["asked"] or scores["listed_40"]
        else []
    )
    rest = [
        ["false boxes per picture", said(scores["false_per_picture"])],
        ["of these 40 px and larger", said(scores["false_per_picture_40"])],
        ["false boxes of 40 px and larger, in all", str(scores["false_boxes_40"])],
        *unannotated,
        ["average precision", said(scores["average_precision"])],
        ["labels right, of faces found", said(scores["label_accuracy"])],
        ["the same faces, in annotated boxes", said(scores["label_accuracy_annotated"])],
        ["all faces, in annotated boxes", said(scores["label_accuracy_all"])],
        ["ms of CPU per photograph", f"{scores['ms_per_picture']:.1f}"],
        [f"ms of CPU as a live search, {LIVE_WIDTH_PX} px wide", f"{scores[f'ms_per_picture_{LIVE_WIDTH_PX}']:.1f}"],
    ]
    by_source = [
        [
            *(source, str(one["counted"]), said(one["true"]), said(difference(one["true"], one["raw"]))),
            *(said(difference(one["true"], one["adjusted"])), span(ends_of(one))),
        ]
        for source, one in scores["mask_share_by_source"].items()
    ]
    columns = ["source", "faces reported", "true", "as counted, minus true", "adjusted, minus true", "95 % interval"]
    return [
        ("faces, by class", ["class", "faces", "recall", "precision of the label"], by_class),
        ("faces, by size", ["shorter side", "recall", "precision of the box"], by_size),
        ("share of masks", ["", "share", "95 % interval"], shares),
        ("share of masks, by what photographs' names begin with", columns, by_source),
        ("figures", ["", ""], rest),
    ]


def ends_of(share: dict[str, Any]) -> tuple[float, float] | None:
    """The interval of an adjusted share, None where nothing was adjusted."""
    return None if share["low"] is None else (share["low"], share["high"])


def said(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def span(value: tuple[float, float] | None) -> str:
    return "-" if value is None else f"{value[0]:.3f} to {value[1]:.3f}"


def print_tables(tables: Sequence[Table]) -> None:
    from rich.table import Table as Printed

    out = console()
    for title, columns, rows in tables:
        printed = Printed(*columns, title=title, title_justify="left", show_header=any(columns))
        for row in rows:
            printed.add_row(*row)
        out.print(printed)
