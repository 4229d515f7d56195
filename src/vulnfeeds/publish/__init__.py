"""Derived forms of the store: pages."""
