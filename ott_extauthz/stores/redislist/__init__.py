"""The used-list in Redis (7.0 or newer) or Valkey: one primary, one Lua script per spend, one fence in its keyspace."""
