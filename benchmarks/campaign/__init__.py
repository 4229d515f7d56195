"""Laws under fire: random publishes, readers, kills, restarts, clock faults; after each the laws are checked."""
