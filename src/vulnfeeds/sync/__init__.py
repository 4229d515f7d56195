"""A run, a cycle, what changed, the guard, the schedule, and the process that a run lives in."""
