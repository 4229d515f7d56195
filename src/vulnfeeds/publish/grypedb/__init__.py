"""A Grype vulnerability database, schema 6, built from the store's records: what grype downloads instead of feeds."""
