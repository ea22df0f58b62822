"""Can the files that ``store`` names be used?  Asked before serving: what is wrong with them now will not mend itself.

They are read anew at every connection, so that they can be rotated; what goes wrong then stands in log and /readyz.
"""

import ssl
from pathlib import Path

from ott_extauthz.bootstrap.secret_files import readable_by_others, why_unreadable
from ott_extauthz.documents.problems import Problem
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.store import Store


def store_problems(store: Store, source: str) -> list[Problem]:
    """Return everything that is wrong with the files, each with the setting that names it."""
    passwords = {
        "store.password_file": store.password_file,
        "store.sentinel_password_file": store.sentinel_password_file,
    }
    problems: list[Problem] = []
    for setting, path in passwords.items():
        if path is not None:
            problems += [Problem(source, 0, 0, setting, why) for why in _password(path)]
    if store.ca is not None:
        problems += [Problem(source, 0, 0, "store.ca", why) for why in authorities_problems(store.ca)]
    if store.certificate is not None:
        problems += key_pair_problems("store", store.certificate, store.key, source)
    return problems


def _password(path: Path) -> list[str]:
    try:
        text = bounded(path).decode()
    except OSError as error:
        return [why_unreadable(path, error)]
    except UnicodeDecodeError:
        return [f"{path} is not UTF-8"]
    if not text.rstrip("\r\n"):
        return [f"{path} is empty"]
    return [f"{path}: {problem.message}" for problem in readable_by_others(path)]


def authorities_problems(path: Path) -> list[str]:
    """Return why a file cannot say whom to believe."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return [f"{path} holds no certificate in PEM form"]
    except OSError as error:
        return [why_unreadable(path, error)]
    return []


def key_pair_problems(section: str, certificate: Path, key: Path | None, source: str) -> list[Problem]:
    """Return why ``certificate`` and ``key`` of a section are no pair to say who we are with."""
    for setting, path in ((f"{section}.certificate", certificate), (f"{section}.key", key)):
        try:
            if path is not None:
                bounded(path)
        except OSError as error:
            return [Problem(source, 0, 0, setting, why_unreadable(path, error))]
    secret = key or certificate
    try:
        # Without a password of ours OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, secret, password=lambda: b"")
    except (ssl.SSLError, ValueError):
        told = f"{secret} is no unencrypted PEM key of the first certificate in {certificate}"
        return [Problem(source, 0, 0, f"{section}.key" if key else f"{section}.certificate", told)]
    return [Problem(source, 0, 0, f"{section}.key", f"{secret}: {each.message}") for each in readable_by_others(secret)]
