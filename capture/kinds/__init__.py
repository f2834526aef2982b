"""The kinds of source: one class and one file each; `capture/sources.py` has the table of them."""
