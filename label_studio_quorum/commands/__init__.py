"""What ops types: one thin command a file, collected as `quorum`."""
