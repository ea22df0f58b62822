"""The composition roots: settings in, running things out; the only room that knows every room."""
