"""The parts of the store's conformance suite; `vulnfeeds.testing.store_suite` puts them together."""
