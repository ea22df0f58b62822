"""Is a case decided in the surroundings that it names?"""

import asyncio

from ott_extauthz.model.decision import Allow
from ott_extauthz.policy.document import policy_from
from ott_extauthz.rehearsal.cases import suite_from
from ott_extauthz.rehearsal.stage import rehearse

POLICY = """
revision: r
routes:
  - name: debit
    match: {methods: [POST], path: /debit, headers: {x-tenant: {present: true}}}
    credential: one_time_token
    audience: wallet
    bound_to: []
    unbound: accept the risk
    bound_to_request: [body]
    constraints: {region: UK}
"""
CASES = """
policy: policy.yaml
region: EU
defaults:
  request: {method: POST, host: a, path: /debit, headers: {x-tenant: acme}, json: {amount: 1}}
  token: {digest_of: {amount: 1}, claims: {sub: s, client_id: c, aud: wallet}}
cases:
  - {name: good, region: UK, expect: {code: OK}}
  - {name: elsewhere, like: good, region: EU, expect: {code: OK}}
  - {name: as the file says, expect: {code: OK}}
  - {name: altered, like: good, request: {json: {amount: 2}}, expect: {code: OK}}
  - {name: no tenant, like: good, request: {headers: {x-tenant: null}}, expect: {code: OK}}
"""


def test_each_case_meets_its_own_server_body_and_headers() -> None:
    suite, _ = suite_from(CASES, "cases.yaml")
    policy = policy_from(POLICY, "policy.yaml")
    decisions = [asyncio.run(rehearse(case, suite, policy)).decision for case in suite.cases]
    reasons = [None if isinstance(decision, Allow) else decision.reason for decision in decisions]
    assert reasons == [None, "region_denied", "region_denied", "request_mismatch", "route_condition_unmet"]
