"""Every driver against every fault of an upstream, and the law that holds whatever happens."""
