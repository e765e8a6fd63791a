"""The files that people write rules in: policy and team, read as located YAML with every fault at once."""
