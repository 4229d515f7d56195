"""Upstream formats that several drivers share."""
