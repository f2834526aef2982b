"""What is wrong with the options of the overlay, said before a run begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from configs.duration import milliseconds
from configs.errors import InputError
from configs.schema import OverlayConfig
from events.rules import read_rules
from overlay.encoders import check_encoder
from recordings.s3 import check_target

# For two searches, begun 100 ms after one another; below it most pictures would be dropped.
LEAST_PRIVATE_AGE_MS = 500.0


def check_overlay(config: OverlayConfig, sinks: Sequence[str], site: str = "") -> None:
    """Raises InputError for options that cannot be had here, or not together; `sinks` as they are written out."""
    check_encoder(config.encoder)
    if config.privacy != "none" and any(sink.startswith("record:") for sink in sinks):
        raise InputError("sink record: copies what the camera sends, with all faces in it: not with overlay.privacy")
    if config.segment:
        milliseconds(config.segment)
    if config.privacy != "none" and 0 < config.max_age_ms < LEAST_PRIVATE_AGE_MS:
        raise InputError(
            f"--max-age {config.max_age_ms:g}ms is too little with overlay.privacy: a picture is shown when "
            f"it was searched twice, which takes some 300 ms; give {LEAST_PRIVATE_AGE_MS:g}ms or more"
        )
    if config.rules:
        read_rules(config.rules)
    if config.upload:
        check_target(config.upload, config.upload_endpoint, site)
        _check_keys(config, segmented(config, sinks))
    elif config.upload_endpoint:
        raise InputError("overlay.upload_endpoint is of overlay.upload, which is not given")


def segmented(config: OverlayConfig, sinks: Sequence[str]) -> tuple[str, ...]:
    """The sinks that make one file after the other."""
    kinds = ("record", "file") if config.segment else ("record",)
    return tuple(sink for sink in sinks if sink.partition(":")[0] in kinds)


def _check_keys(config: OverlayConfig, sinks: Sequence[str]) -> None:
    """Refuse to upload nothing, and two recordings under one key."""
    if not sinks:
        raise InputError("overlay.upload takes finished segments: give --sink file:OUT.mp4 with --segment, or record:")
    taken: dict[str, str] = {}
    for sink in sinks:
        kind, _, text = sink.partition(":")
        name = Path(text).name if kind == "file" else "{stream}.mp4"
        if "{stream}" in text and "{stream}" not in name + config.upload:
            raise InputError(
                f"overlay.upload {config.upload!r}: streams would share their keys: put {{stream}} into it"
            )
        other = taken.setdefault(name, sink)
        if other != sink:
            raise InputError(f"sinks {other!r} and {sink!r} would be uploaded under one name: give one another name")
