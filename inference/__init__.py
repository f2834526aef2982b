"""Finding faces in frames and saying how they wear their mask."""

import configs.environment  # noqa: F401 - before a library reads it
