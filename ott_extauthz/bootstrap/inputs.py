"""What does a Check server start from?  Policy and key sets read and judged, every problem of every file at once."""

from dataclasses import dataclass

from ott_extauthz.authn.jwks import KeySetError, keys_from
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.bootstrap.secret_files import readable_by_others, unreadable
from ott_extauthz.bootstrap.store_files import store_problems
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.settings import Settings, Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInputs:
    """Everything a Check server reads from files before it may start."""

    policy: Policy
    trust: dict[str, TrustedIssuer]


def check_inputs(settings: Settings, source: str) -> CheckInputs:
    """Read the policy and the key sets that ``settings`` name.

    Raises:
        DocumentError: everything that keeps a Check server from starting, files and all.
    """
    problems: list[Problem] = []
    policy = _policy(settings, source, problems)
    trust = _trust(settings, source, problems)
    if settings.listen.tls:
        problems += readable_by_others(settings.listen.tls.key)
    problems += store_problems(settings.store, source)
    if problems or policy is None:
        raise DocumentError(problems)
    return CheckInputs(policy=policy, trust=trust)


def _policy(settings: Settings, source: str, problems: list[Problem]) -> Policy | None:
    if settings.policy is None:
        problems.append(Problem(source, 0, 0, "policy", "required: the file that says who may do what"))
        return None
    try:
        return policy_from(settings.policy.read_text(encoding="utf-8"), str(settings.policy))
    except DocumentError as error:
        problems += error.problems
    except (OSError, UnicodeDecodeError) as error:
        problems.append(unreadable(settings.policy, error))
    return None


def _trust(settings: Settings, source: str, problems: list[Problem]) -> dict[str, TrustedIssuer]:
    if not settings.trust:
        problems.append(Problem(source, 0, 0, "trust", "required: without a trusted issuer every token is refused"))
    trusted: dict[str, TrustedIssuer] = {}
    for entry in settings.trust or ():
        try:
            trusted[entry.issuer] = _issuer(entry)
        except KeySetError as error:
            problems += [Problem(str(entry.jwks), 0, 0, "", problem) for problem in error.problems]
        except OSError as error:
            problems.append(unreadable(entry.jwks, error))
    return trusted


def _issuer(entry: Trust) -> TrustedIssuer:
    keys = keys_from(entry.jwks.read_bytes())
    algorithms = frozenset[str](entry.algorithms)
    if not any(key.algorithms & algorithms for key in keys.values()):
        raise KeySetError(f"no key goes with the algorithms {sorted(algorithms)} allowed for {entry.issuer}")
    return TrustedIssuer(entry.issuer, algorithms, keys)
