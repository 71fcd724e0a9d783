"""Graphs that need not be built again: kept on the local disk, and built ahead while the command starts."""
