"""npm: packages of a registry of JavaScript, each document for itself."""
