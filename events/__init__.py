"""What happened: a person's decision, a rule that was met; kept, delivered, read again."""

import configs.environment  # noqa: F401 - before a library reads it
