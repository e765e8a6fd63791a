"""This room holds the predictors, one file a kind, and the registry that names them."""
