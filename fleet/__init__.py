"""Cameras of several sites on many hosts: planned as shards, each a run of its own, and rendered for an engine."""

import configs.environment  # noqa: F401 - before a library reads it
