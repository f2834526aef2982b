"""Training and scoring of the classifier, of the face detector, and of its verifier."""

import configs.environment  # noqa: F401 - before a library reads it
