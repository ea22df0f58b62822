"""WHAT do we remember?  Adapters for the used-list and for key files."""
