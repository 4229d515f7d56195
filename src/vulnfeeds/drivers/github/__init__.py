"""GitHub's advisories, from its API or from the archive of its database."""
