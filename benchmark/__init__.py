"""`maskstream benchmark`: how fast the pipeline is on this machine, beside loops that do the same work."""

import configs.environment  # noqa: F401 - before a library reads it
