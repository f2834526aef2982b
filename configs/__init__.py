"""What the user may set: the options, and the error that names what is wrong with them."""

import configs.environment  # noqa: F401 - before a library reads it
