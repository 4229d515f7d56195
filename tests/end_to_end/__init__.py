"""Tests of the whole service, judged by the strict client."""
