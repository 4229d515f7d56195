"""Tests of the Grype database."""
