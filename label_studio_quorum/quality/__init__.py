"""How good the work is and who did it: the report as data and as a page."""
