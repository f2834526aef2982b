"""Prints all options as YAML to be saved and changed, without secrets."""

from __future__ import annotations

import typing
from typing import Any

import yaml

from configs.address import HIDDEN
from configs.references import as_printed
from configs.schema import PipelineConfig

_NOT_PRINTED = """\
# *** stands for a secret that is not printed. Write a reference there: ${NAME} is a variable of the environment, as in
# rtsp://admin:${CAMERA_PASSWORD}@192.0.2.10/live, file:/run/secrets/NAME what a file holds.
"""


def as_yaml(config: PipelineConfig) -> str:
    """All options as commented YAML, ready to be saved and changed. References are printed as such, secrets are not."""
    lines: list[str] = []
    for section, kind in typing.get_type_hints(PipelineConfig).items():
        value = getattr(config, section)
        repeated = isinstance(value, tuple)
        lines += ["", f"{section}:"]
        for item in value if repeated else (value,):
            item_kind = typing.get_args(kind)[0] if repeated else kind
            first = "  - " if repeated else "  "
            for name, hint in typing.get_type_hints(item_kind, include_extras=True).items():
                reason = hint.__metadata__[0].description
                lines.append(f"{first}{name}: {_scalar(_printed(name, getattr(item, name)))}  # {reason}")
                first = "    " if repeated else "  "
    text = "\n".join(lines).lstrip() + "\n"
    return (_NOT_PRINTED if HIDDEN in text else "") + text


def _printed(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_printed(name, item) for item in value)
    if not isinstance(value, str):
        return value
    return as_printed(value, is_secret=name.endswith("token"), is_sink=name == "sinks")


def _scalar(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True).strip()
    return text.removesuffix("...").strip()
