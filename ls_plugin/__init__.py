"""What the server enforces: a Django app loaded into Label Studio by a settings module."""
