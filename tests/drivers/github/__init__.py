"""Tests of driver github."""
