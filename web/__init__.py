"""What is served of a run while it lives: the page, pictures, health and metrics. A process of its own."""

import configs.environment  # noqa: F401 - before a library reads it
