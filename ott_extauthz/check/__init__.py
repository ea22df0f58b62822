"""WHAT do we answer?  The numbered steps from facts to a decision."""
