"""Tests of the strict client itself."""
