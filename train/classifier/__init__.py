"""Training the classifier of faces: `python -m train`."""
