"""Whose authorities sign for which trust domain?  The bundle files of ``trust_domains``, read and judged."""

from pathlib import Path

from ott_extauthz.authn.trust_bundle import TrustBundle, TrustBundleError, bundle_from
from ott_extauthz.bootstrap.secret_files import unreadable
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.trust_domains import TrustDomain
from ott_extauthz.settings import Settings


def bundle_files(settings: Settings) -> list[list[Path]]:
    """Return the file of each trust domain."""
    return [[entry.bundle] for entry in (settings.trust_domains or {}).values()]


def read_bundles(settings: Settings, problems: list[Problem]) -> dict[str, TrustBundle]:
    """Return the bundles that can be read; what is wrong with the others goes to ``problems``."""
    bundles: dict[str, TrustBundle] = {}
    for name, entry in (settings.trust_domains or {}).items():
        try:
            bundles[name] = read_bundle(name, entry)
        except DocumentError as error:
            problems += error.problems
    return bundles


def read_bundle(name: str, entry: TrustDomain) -> TrustBundle:
    """Read the bundle of one trust domain.

    Raises:
        DocumentError: every problem at once; also where the file cannot be read.
    """
    try:
        return bundle_from(name, bounded(entry.bundle))
    except TrustBundleError as error:
        place = str(entry.bundle)
        raise DocumentError(Problem(place, 0, 0, "", problem) for problem in error.problems) from None
    except OSError as error:
        raise DocumentError([unreadable(entry.bundle, error)]) from None
