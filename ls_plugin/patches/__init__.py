"""Everything that replaces a piece of Label Studio."""
