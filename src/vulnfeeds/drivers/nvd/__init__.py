"""NVD: the CVE records of the National Vulnerability Database, by API 2.0 or by its feed files of form 2.0."""
