"""The used-list in a SQL database: SQLite for the workers of one host, a PostgreSQL primary for many."""
