"""SHOW me.  A throwaway bank behind a real Envoy, and a tour of what gets through and what does not."""
