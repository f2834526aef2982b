"""Describes the page's HTTP addresses as OpenAPI 3.1, at /api/openapi.json. Tests hold it against the real answers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from configs.schema import SourceConfig
from events.event import Event

_REFERENCE = "#/components/schemas/{name}"
_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_JPEG = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "description": "of the stream"}
_COUNT = {"type": "integer", "minimum": 0}
_RATE = {"type": "number", "minimum": 0}
_AGE = {"type": ["number", "null"], "description": "null: none was shown lately"}
_BY_WORD = {"type": "object", "additionalProperties": _COUNT}


def described() -> dict[str, Any]:
    """The document, as JSON has it."""
    schemas = _schemas()
    return {
        "openapi": "3.1.0",
        "info": {"title": "maskstream", "version": _version(), "description": _ABOUT},
        "security": [{"token": []}, {}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "the page's token"}},
            "schemas": schemas,
        },
    }


_ABOUT = (
    "What the page of a run serves. On loopback looking needs no token; changes always do. Errors of access and of "
    'what is no JSON are text, those of the run `{"error": ...}`.'
)


def _paths() -> dict[str, Any]:
    order = {
        "200": _answer("heard; gone, paused or flowing when it comes", "Changed"),
        "409": _answer("the run cannot do it, with the reason", "Error"),
    }
    shard = {"202": _answer("heard", "Shard"), "409": _says("this run is no shard")}
    return {
        "/api/status": {"get": _get("How the run stands; rates and ages of the last 10 s.", "Status")},
        "/api/events": {
            "get": _get("The last 100 events, oldest first.", {"type": "array", "items": _ref("Happened")})
        },
        "/api/streams": {
            "get": _get("The streams.", {"type": "array", "items": _ref("Stream")}),
            "post": _operation(
                "Add a stream; all options of a source may be given.",
                {"201": _answer("it was added", "Changed"), "400": _answer("it cannot be, with the reason", "Error")},
                body=_ref("SourceConfig"),
            ),
        },
        "/api/streams/{name}": {"delete": _operation("Remove a stream.", order, [_NAME])},
        "/api/streams/{name}/pause": {"post": _operation("Let its source be; a camera is let go.", order, [_NAME])},
        "/api/streams/{name}/resume": {"post": _operation("Go on with it.", order, [_NAME])},
        "/api/fence": {
            "post": _operation("Of a shard: a newer epoch was given out.", shard, body=_object(["epoch"], _GRANT))
        },
        "/api/drain": {"post": _operation("Of a shard: read no more, deliver what waits, end.", shard)},
        "/snapshot/{name}.jpg": {
            "get": _operation(
                "The picture of now.",
                {"200": {"description": "drawn", "content": _JPEG}, "404": _says("no such stream"), "503": _NO_PICTURE},
                [_NAME],
            )
        },
        "/livez": {"get": _operation("Whether the run lives.", {"200": _says("ok"), "503": _says("it hangs")})},
        "/readyz": {
            "get": _operation(
                "Whether it does what it is there for.",
                {"200": _answer("it does", "Ready"), "503": _answer("it does not, with the reasons", "Ready")},
            )
        },
        "/metrics": {"get": _operation("Figures for Prometheus.", {"200": _says("in its text format")})},
        "/api/openapi.json": {"get": _get("This document.", {"type": "object"})},
    }


_GRANT = {"epoch": {"type": "integer", "minimum": 1}, "life": {"type": "string", "pattern": "^[0-9a-f]{16}$"}}
_NO_PICTURE = {"description": "a placeholder: there is no picture now", "content": _JPEG}


def _schemas() -> dict[str, Any]:
    """Of what is taken and given. Those of sources and events are made from the types that the code has."""
    _, found = msgspec.json.schema_components((SourceConfig, Event), ref_template=_REFERENCE)
    happened = found.pop("Event")
    happened["properties"]["picture"] = {"type": "boolean", "description": "whether it is at /events/ID.jpg"}
    stage = {"fps": _RATE, "busy": _RATE, "cores": _RATE, "restarts": _COUNT, "lost": _COUNT}
    stream = {
        "name": {"type": "string"},
        "source": {"type": "string", "description": "without its secrets"},
        "state": {"type": "string"},
        "live": {"type": "boolean"},
        "fps": _RATE,
        "age_ms": _object([], {"p50": _AGE, "p95": _AGE}),
        "quality": {"type": ["string", "null"]},
        "still": {"type": "boolean", "description": "nothing moves: only some pictures a second go on (still_fps)"},
        "why": {"type": "array", "items": {"type": "string"}},
        "persons": {**_BY_WORD, "description": "followed faces of the last ten seconds, by label"},
        "dropped": {**_BY_WORD, "description": "by reason"},
        **dict.fromkeys(("captured", "shown", "in_flight", "skipped", "recorded", "not_recorded", "corrupt"), _COUNT),
    }
    unit = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    share = {
        "raw": unit | {"description": "of the persons of the last ten minutes whose label is known, as counted"},
        "adjusted": unit | {"description": "with known errors taken out; null where none are known"},
        "low": unit | {"description": "of its 95 % interval"},
        "high": unit,
    }
    told = {"errors": {"type": "string", "description": "where they were measured, or why none are known"}}
    told["text"] = {"type": "string"}
    return found | {
        "Happened": happened,
        "Stream": _object(list(stream), stream),
        "Stage": _object(["name", *stage], {"name": {"type": "string"}, **stage}),
        "Status": _object(
            [
                "phase",
                "silent_s",
                "started",
                "limited_by",
                "whole_run",
                "facts",
                "streams",
                "stages",
                "persons",
                "mask_share",
            ],
            {
                "phase": {"type": "string"},
                "silent_s": {"type": "number"},
                "started": {"type": "number", "description": "Unix time"},
                "limited_by": {"type": ["string", "null"]},
                "whole_run": {"type": "object"},
                "facts": {"type": "object"},
                "streams": {"type": "array", "items": _ref("Stream")},
                "stages": {"type": "array", "items": _ref("Stage")},
                "persons": {"type": "object"},
                "mask_share": _ref("MaskShare"),
            },
        ),
        "MaskShare": _object(["counted", *share, "errors", "text"], {"counted": _COUNT, **share, **told}),
        "Changed": _object(["stream"], {"stream": {"type": "string"}}),
        "Error": _object(["error"], {"error": {"type": "string"}}),
        "Ready": _object(
            ["ready", "reasons"],
            {"ready": {"type": "boolean"}, "reasons": {"type": "array", "items": {"type": "string"}}},
        ),
        "Shard": _object(
            ["shard", "run", "epoch"],
            {"shard": {"type": "string"}, "run": {"type": "string"}, "epoch": {"type": "integer"}},
        ),
    }


def _object(required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=name)}


def _answer(description: str, schema: str | dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": _ref(schema) if isinstance(schema, str) else schema}}
    return {"description": description, "content": content}


def _says(description: str) -> dict[str, Any]:
    return {"description": description, "content": dict(_TEXT)}


def _get(summary: str, schema: str | dict[str, Any]) -> dict[str, Any]:
    return _operation(summary, {"200": _answer("as it is now", schema)})


def _operation(
    summary: str,
    answers: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    taken = {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}} if body else {}
    refused = {"401": _says("the token is wanted")}
    if body:  # what is no JSON is refused before the run is asked
        refused["400"] = _says("no JSON, or not what is taken")
        refused["400"]["content"] |= answers.pop("400", {}).get("content", {})
    return {"summary": summary, "parameters": parameters or [], "responses": refused | answers} | taken


def _version() -> str:
    try:
        return version("maskstream")
    except PackageNotFoundError:
        return "0"
