"""What the plugin keeps in the database, by which rules, and how it locks, retries and refuses."""
