"""WHO may do WHAT?  The policy file, the canonical target, the route table: pure."""
