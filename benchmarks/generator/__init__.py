"""Upstream documents in true form at any scale, made from a seed: the same arguments give the same bytes."""
