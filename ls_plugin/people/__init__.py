"""Who somebody is on this server: accounts, teams, roles and rules of each campaign."""
