"""Whatever a caller sends, no metric gets a label value that is not in our own files or lists."""

import asyncio
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.model.reason import Code, Reason
from ott_extauthz.observe.left_out import LeftOut
from ott_extauthz.observe.listeners import Listeners
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.ports import UsedListFault
from tests.fakes.desk import POLICY, Desk

ROUTES = {"wallet-debit", "wallet-read", "report", "health", "none"}
MAY_BE = {
    "route": ROUTES,
    "outcome": {"allow", "deny"},
    "code": {*Code, "OK"},
    "reason": set(Reason),
    "client": {"rgs", "other", "none"},
    "region": {"EU"},
    "kind": set(UsedListFault),
    "what": set(LeftOut),
    "version": None, "python": None, "transport": {"native"}, "le": None,
}  # fmt: skip
WORDS = st.text(string.ascii_lowercase + string.digits + '"\\{}=\n', min_size=1, max_size=8)
NAMES = st.one_of(st.sampled_from(["rgs", "wallet.api", "https://issuer.bank.example"]), WORDS)
CLAIMS = st.dictionaries(st.sampled_from(["client_id", "iss", "aud", "sub", "jti", "scope", "txn"]), NAMES, max_size=4)
PLACES = st.sampled_from(["/v1/wallets/7/debit", "/v1/wallets/7", "/report", "/healthz"])
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.one_of(st.sampled_from(["GET", "POST"]), WORDS),
        "path": st.one_of(PLACES, WORDS.map(lambda word: f"/{word}")),
        "host": st.one_of(st.just("wallet.api"), WORDS),
        "principal": WORDS,
        "certificate": st.one_of(st.sampled_from(list(Reason)), st.none()),
    }
)


class Counted:
    """A desk whose decisions are counted, over all examples."""

    def __init__(self) -> None:
        self.desk = Desk(policy=POLICY)
        self.metrics = Metrics(transport="native", region="EU", clients=lambda: frozenset({"rgs"}))
        self.faults: list[str] = []
        self.told = Listeners(self.metrics, on_broken=self.faults.append)

    def hear(self) -> None:
        for record in self.desk.observer.records:
            self.told.decided(record)
        for record in self.desk.observer.replays:
            self.told.replayed(record)
        self.desk.observer.records.clear()
        self.desk.observer.replays.clear()


COUNTED = Counted()


@settings(max_examples=150)
@given(claims=CLAIMS, request=REQUESTS, headers=st.lists(st.tuples(WORDS, WORDS), max_size=3), twice=st.booleans())
def test_random_traffic_adds_no_label_value(
    claims: dict[str, str], request: dict[str, object], headers: list[tuple[str, str]], *, twice: bool
) -> None:
    desk = COUNTED.desk
    token = desk.token(**claims)
    certificate = {"certificate": request["certificate"]} if request["certificate"] else {}
    changes = {name: value for name, value in request.items() if name != "certificate"} | certificate
    carried = [("x-ott", token), ("authorization", f"Bearer {token}"), ("traceparent", claims.get("txn", "")), *headers]
    facts: Facts = desk.facts(*carried, **changes)  # type: ignore[arg-type]
    for _ in range(1 + twice):
        asyncio.run(desk.ask(facts))
    asyncio.run(desk.checker.check(Malformed(Reason.REQUEST_MALFORMED), deadline=1.0))
    COUNTED.hear()
    assert COUNTED.faults == []
    _check_values()


def test_a_genuine_token_of_a_client_that_no_file_names_is_counted_as_other() -> None:
    desk = COUNTED.desk
    asyncio.run(desk.ask(desk.facts(("x-ott", desk.token(client_id="stranger")))))
    asyncio.run(desk.ask(desk.facts(("x-ott", desk.token()))))
    COUNTED.hear()
    value = COUNTED.metrics.registry.get_sample_value
    assert (value("ott_client_checks_total", {"client": "other", "region": "EU", "outcome": "deny"}) or 0) > 0
    assert (value("ott_client_checks_total", {"client": "rgs", "region": "EU", "outcome": "allow"}) or 0) > 0
    _check_values()


def _check_values() -> None:
    for family in COUNTED.metrics.registry.collect():
        for sample in family.samples:
            for label, value in sample.labels.items():
                allowed = MAY_BE[label]
                assert allowed is None or value in allowed, (sample.name, label, value)
