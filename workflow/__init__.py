"""What happens on a Label Studio server: set up, import, reconcile, export, report."""
