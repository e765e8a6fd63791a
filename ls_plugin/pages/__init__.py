"""Quorum's own pages and endpoints, under /quorum/."""
