"""Figures over many votes: agreement, intervals, second opinions, when to stop."""
