"""Which servers does a store's connection believe, and whose certificate does it show?

- By its name and by ``store.ca`` alone, or else by the system's authorities.
- The rules for certificates are those of RFC 5280 on every Python: 3.13 took them up as its default, before it a
  certificate without key identifiers passed, and an authority signed by another was none.
- A key must not be encrypted: there is nobody to ask for its password.
"""

import ssl

from ott_extauthz.sections.store import Store


def store_context(settings: Store) -> ssl.SSLContext:
    """Return what verifies the store; it reads the files anew, and the system's authorities take 40 ms.

    Raises:
        OSError: a file cannot be read; as ``ssl.SSLError``, it cannot be used.
    """
    context = ssl.create_default_context(cafile=settings.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    if settings.certificate is not None:
        # Without a password of ours OpenSSL would ask for one on the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password=lambda: b"")
    return context
