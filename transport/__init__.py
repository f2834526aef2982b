"""How frames move between the processes; knows nothing of cameras, models or windows."""

import configs.environment  # noqa: F401 - before a library reads it
