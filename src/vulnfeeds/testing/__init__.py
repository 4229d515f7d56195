"""The test kit that ships with Vulnfeeds: suites for drivers and stores, an upstream, the strict client."""
