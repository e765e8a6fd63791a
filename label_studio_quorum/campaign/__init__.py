"""What happens with a campaign on a server: set up, import, read histories, reconcile, watch, diagnose."""
