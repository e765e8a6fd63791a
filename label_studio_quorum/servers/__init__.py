"""Running Label Studio, the ML backend and a team on this machine: processes, secrets, people and a simulated team."""
