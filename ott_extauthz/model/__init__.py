"""WHAT do we talk about?  Pure values; every other room may use them, they use none."""
