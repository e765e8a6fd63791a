"""This room pre-labels: a Flask app that speaks Label Studio's ML-backend protocol, its predictors, their training."""
