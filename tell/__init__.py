"""Tells how a run stands: at the terminal, as JSON, to systemd. It knows the run by its Status alone."""

import configs.environment  # noqa: F401 - before a library reads it
