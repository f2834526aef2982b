"""Training and scoring the classifier of faces."""
