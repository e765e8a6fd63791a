"""Checks of rows that need more than one row or a library: languages, near-duplicates, personal data, whole files."""
