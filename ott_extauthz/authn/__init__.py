"""WHO is asking?  Crypto and clock values in, a verified token or a rejection out: pure."""
