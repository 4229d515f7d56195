"""Red Hat: drivers rhel and centos, from the security data API, CSAF advisories and the VEX archive."""
