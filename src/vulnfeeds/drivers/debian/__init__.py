"""Debian: the security tracker's JSON and the list of its advisories."""
