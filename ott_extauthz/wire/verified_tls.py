"""Whom do we believe when we connect, and why did it fail?"""

import ssl
from pathlib import Path


def client_context(ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Verify as the stores' connections do: RFC 5280 on every Python, and an authority need not be self-signed.

    ``ca`` are the only authorities that count, None those of the system; ``certificate`` and ``key`` are our own.

    Raises:
        OSError: a file cannot be read, or holds something else (``ssl.SSLError``).
    """
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    if certificate is not None:
        # Without a password of ours OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    return context


def why_unreached(error: Exception) -> str:
    """Return why a connection failed, in the words of the system or of TLS."""
    reason = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return getattr(reason, "verify_message", None) or getattr(reason, "strerror", None) or type(reason).__name__
