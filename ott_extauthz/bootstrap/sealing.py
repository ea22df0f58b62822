"""Which tokens does the issuer seal?  The key sets of the audiences that `issuer.encryption` names, read and judged."""

from ott_extauthz.bootstrap.secret_files import unreadable
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.issuer.sealing import EncryptionKey, EncryptionKeyError, Sealer, encryption_key_from
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.issuer import Issuer


def sealer_of(issuer: Issuer) -> Sealer:
    """Return what seals the tokens of these audiences.

    Raises:
        DocumentError: a key set cannot be used; every one that cannot.
    """
    problems: list[Problem] = []
    keys: dict[str, EncryptionKey] = {}
    for audience, path in issuer.encryption.items():
        try:
            keys[audience] = encryption_key_from(bounded(path))
        except EncryptionKeyError as error:
            problems.append(Problem(str(path), 0, 0, "", str(error)))
        except OSError as error:
            problems.append(unreadable(path, error))
    if problems:
        raise DocumentError(problems)
    return Sealer(keys)


def sealer_from(issuer: Issuer, problems: list[Problem]) -> Sealer:
    """Return the same; what is wrong with the key sets is added to ``problems``."""
    try:
        return sealer_of(issuer)
    except DocumentError as error:
        problems += error.problems
    return Sealer({})
