"""Tests of what the measurements stand on."""
