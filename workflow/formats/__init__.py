"""Gold out: writers for every format that the full records of a campaign leave in."""
