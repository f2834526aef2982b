"""How an option of the schema is described."""

from __future__ import annotations

from msgspec import Meta


def option(description: str, **limits: float) -> Meta:
    """What `--help` and `--print-config` say of an option, and the values it takes."""
    return Meta(description=description, **limits)  # type: ignore[call-overload]
