"""What this machine has and lacks, and what to send along with a report of a fault."""

import configs.environment  # noqa: F401 - before a library reads it
