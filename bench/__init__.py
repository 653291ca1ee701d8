"""Measurements against named rivals: `make bench`, `make bench-scale`."""
