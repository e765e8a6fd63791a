"""Gold out: full records, the datasheet, and a writer for every format."""
