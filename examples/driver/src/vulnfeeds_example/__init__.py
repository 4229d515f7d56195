"""A driver for Vulnfeeds, as a template."""
