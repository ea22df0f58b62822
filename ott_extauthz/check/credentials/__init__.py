"""How does each kind of credential prove a caller?  One module for each, behind one interface."""
