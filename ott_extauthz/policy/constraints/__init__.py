"""Does the request stay within its mandates?  One module a constraint; each refuses for its own reason."""
