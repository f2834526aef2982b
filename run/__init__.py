"""Starts the processes of a run, watches them, starts again what dies and ends them in order."""

import configs.environment  # noqa: F401 - before a library reads it
