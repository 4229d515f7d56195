"""The truth: records, sequences, generations, tasks, checkpoints, quarantine; SQLite and PostgreSQL."""
