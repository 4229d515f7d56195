"""Measurements to repeat by hand, as docs/performance.md says."""
