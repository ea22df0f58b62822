"""What does the policy say?  Its files as models, closed and described; compiled, with every mistake told at once."""

from ott_extauthz.policy.document.reading import Policy, policy_from, policy_from_files
from ott_extauthz.policy.document.whole import PolicyDocument

__all__ = ["Policy", "PolicyDocument", "policy_from", "policy_from_files"]
