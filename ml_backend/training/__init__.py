"""Training: heads from adjudicated gold, measured by grouped cross-validation."""
