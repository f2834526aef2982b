"""`maskstream benchmark`: how fast the pipeline is on this machine, beside loops that do the same work."""
