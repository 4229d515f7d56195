"""What a record is: typed bodies, severity, canonical form and digest, withdrawal. No I/O."""
