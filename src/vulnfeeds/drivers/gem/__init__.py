"""Ruby gems: the packages of a registry, from its weekly dump or from its versions API."""
