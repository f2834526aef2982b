"""Turning a trained checkpoint into a file that runs without PyTorch."""
