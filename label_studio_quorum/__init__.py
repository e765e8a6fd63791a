"""What happens with a campaign: rows in, people's work on a Label Studio server, gold out, and the `quorum` command."""
