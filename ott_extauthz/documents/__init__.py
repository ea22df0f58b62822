"""HOW do we read what an operator wrote?  YAML with places, validated as a whole, every problem at once."""
