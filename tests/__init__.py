"""Tests, one folder a part. Helpers are imported by their full name: `from tests.client.scripted import page`."""
