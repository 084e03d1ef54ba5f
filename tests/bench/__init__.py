"""Measurements, never assertions: `make bench`. Ratios against a reference of the same run are what to compare."""
