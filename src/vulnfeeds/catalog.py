"""The texts that the listings show for feeds and groups, as the original service worded them."""

from __future__ import annotations


def describe_feed(feed: str) -> str:
    """Return the description of a feed."""
    return f"Feed record for type {feed}"


def describe_group(feed: str, group: str) -> str:
    """Return the description of a group."""
    return f"Group record for namespace: {group} and feed type: {feed}"
