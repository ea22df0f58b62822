"""WHO mints?  Grants judged and one-time tokens signed: pure."""
