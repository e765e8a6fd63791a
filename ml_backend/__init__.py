"""What pre-labels: a Flask app that speaks Label Studio's ML-backend protocol, its predictors and their training."""
