"""Who signed this HTTP request, and what of it?  HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530)."""
