"""Microsoft's Security Response Center: monthly CVRF documents, by product."""
