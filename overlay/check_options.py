"""What is wrong with the options of the overlay, said before a run begins."""

from __future__ import annotations

from collections.abc import Sequence

from configs.duration import milliseconds
from configs.errors import InputError
from configs.schema import OverlayConfig
from events.rules import read_rules
from overlay.encoders import check_encoder

# For two searches, begun 100 ms after one another; below it most pictures would be dropped.
LEAST_PRIVATE_AGE_MS = 500.0


def check_overlay(config: OverlayConfig, sinks: Sequence[str]) -> None:
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
