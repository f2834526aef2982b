"""What recordings have in common, whoever writes them: their names, how long they are kept, packets in an MP4."""

import configs.environment  # noqa: F401 - before a library reads it
