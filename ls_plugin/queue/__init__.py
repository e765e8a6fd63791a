"""Which task goes to whom: hand-out, qualification, and the reconcile that follows each submission."""
