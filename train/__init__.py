"""Training and scoring the classifier of faces."""

import configs.environment  # noqa: F401 - before a library reads it
