"""The sources of a run as they are used: checked, named, and without those that cannot be used."""

from __future__ import annotations

import typer
from msgspec.structs import replace

from capture.sources import check_source, forms, free_name, stream_name, tickets_of
from configs.address import written
from configs.console import visible
from configs.errors import InputError
from configs.redact import redact
from configs.schema import PipelineConfig, SourceConfig


def checked_sources(options: PipelineConfig) -> tuple[list[SourceConfig], dict[str, str]]:
    """The sources, and why others are refused, by their name.

    Raises InputError for the first that cannot be used, unless the run keeps going without it; and where none is left.
    """
    if not options.sources:
        raise InputError(f"no source: give --source {forms()}")
    refused: dict[str, str] = {}
    sources: list[SourceConfig] = []
    for source in options.sources:
        source = replace(source, source=written(source.source), record=written(source.record))
        try:
            check_source(source)
        except InputError as error:
            if not options.run.keep_going or len(options.sources) == 1:
                raise
            refused[source.name or redact(source.source)] = str(error)
            typer.echo(f"maskstream: {visible(redact(str(error)))}; the other sources go on", err=True)
        else:
            name = free_name(stream_name(source), [other.name for other in sources])
            sources.append(replace(source, name=name, tickets=tickets_of(source)))
    if not sources:
        raise InputError("none of the sources can be used")
    return sources, refused
