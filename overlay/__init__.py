"""Drawing, and where the result goes: the last stage of the pipeline."""

import configs.environment  # noqa: F401 - before a library reads it
