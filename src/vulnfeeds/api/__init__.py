"""HTTP: feeds, tasks, health; tokens, filters, problems; the OpenAPI contract."""
