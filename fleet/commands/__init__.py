"""The commands of `maskstream fleet`, one a file."""
