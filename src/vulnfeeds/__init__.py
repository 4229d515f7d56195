"""Vulnfeeds: the open, self-hosted vulnerability feed service."""

__version__ = "0.1.0"
