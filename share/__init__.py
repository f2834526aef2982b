"""How many wear a mask as it should be: the share that is counted, and what it is once known errors are taken out."""

import configs.environment  # noqa: F401 - before a library reads it
