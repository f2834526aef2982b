"""Drawing, and where the result goes: the last stage of the pipeline."""
