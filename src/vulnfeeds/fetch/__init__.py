"""The only code that talks to upstreams: conditional, resumable, polite, bounded; and the upstream map."""
