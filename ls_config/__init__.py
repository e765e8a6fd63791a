"""What people see: labeling interfaces, their loader, and Label Studio's result JSON."""
