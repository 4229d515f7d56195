"""Amazon Linux: advisories of its repositories, or of its site."""
