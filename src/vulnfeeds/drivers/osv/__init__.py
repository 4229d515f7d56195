"""Language advisories in OSV form: any archive or folder of them, by settings alone."""
