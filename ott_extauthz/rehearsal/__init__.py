"""How would this policy decide?  The Check itself, run without a server, a store, a network or the real time."""
