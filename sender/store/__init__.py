"""Tables, sessions, hash chains, and what differs between SQLite and PostgreSQL."""
