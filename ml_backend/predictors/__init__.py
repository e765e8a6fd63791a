"""Predictors: one file a kind, and the registry that names them."""
