"""Tests of the derived forms."""
