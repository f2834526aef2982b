"""Training the second stage of the Haar cascade: `python -m train.verifier`."""
