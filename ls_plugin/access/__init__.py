"""Who may call what: the table, the gate, the checks on a call, and what a person is shown of a response."""
