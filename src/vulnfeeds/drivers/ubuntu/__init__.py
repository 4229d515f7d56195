"""Ubuntu: Canonical's OSV and VEX archives, and the security team's CVE tracker."""
