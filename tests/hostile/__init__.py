"""Upstreams and clients that mean harm, or are broken in the worst way."""
