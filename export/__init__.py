"""Turning a trained checkpoint into a file that runs without PyTorch."""

import configs.environment  # noqa: F401 - before a library reads it
