"""Which servers does a URL of several name, and what do they say of each other?"""

import hiredis
import pytest

from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist import cluster, sentinel
from ott_extauthz.stores.redislist.lease import NoVote, Owner
from ott_extauthz.stores.redislist.places import Place, places_from, sentinel_name

ASKED = Place("seed", 7000, 0, None, is_tls=False)
SENTINEL = sentinel.poll(Store(url="redis+sentinel://a/ott"))


@pytest.mark.parametrize(
    ("url", "places"),
    [
        (
            "redis+sentinel://u%40v@a,b:1/ott/3",
            [Place("a", 26379, 3, "u@v", is_tls=False), Place("b", 1, 3, "u@v", is_tls=False)],
        ),
        ("rediss+sentinel://a/5", [Place("a", 26379, 0, None, is_tls=True)]),
        ("redis+quorum://[::1]:1,[::1]:2/4", [Place("::1", port, 4, None, is_tls=False) for port in (1, 2)]),
        ("redis+cluster://a/", [Place("a", 6379, 0, None, is_tls=False)]),
    ],
)
def test_a_url_of_several_servers_is_read(url: str, places: list[Place]) -> None:
    assert places_from(url) == places


def test_the_sentinels_are_asked_for_a_name() -> None:
    assert sentinel_name("redis+sentinel://a,b/my%20primary/5") == "my primary"
    assert SENTINEL.question == b"*3\r\n$8\r\nSENTINEL\r\n$6\r\nMASTER\r\n$3\r\nott\r\n"


def test_a_sentinel_names_the_primary_and_its_term() -> None:
    reply = [b"name", b"ott", b"ip", b"10.0.0.1", b"port", b"6379", b"config-epoch", b"7", b"odd"]
    assert SENTINEL.read(reply, ASKED) == (Owner("10.0.0.1", 6379, "7"),)


@pytest.mark.parametrize(
    "reply",
    [
        None, b"OK", [], [b"ip", b"10.0.0.1"], [b"ip", b"", b"port", b"1", b"config-epoch", b"1"],
        [b"ip", b"h", b"port", b"x", b"config-epoch", b"1"], [b"ip", b"h", b"port", b"1", b"config-epoch", b""],
        hiredis.ReplyError("ERR No such master with that name"), hiredis.ReplyError("NOAUTH who are you"),
    ],
)  # fmt: skip
def test_a_sentinel_that_names_none_has_no_vote(reply: object) -> None:
    with pytest.raises(NoVote):
        SENTINEL.read(reply, ASKED)


def test_a_server_of_a_cluster_names_the_owner_of_every_bucket() -> None:
    text = (
        "aa 10.0.0.1:7000@17000,one.example myself,master - 0 0 4 connected 0-8191 [8192->-bb]\n"
        "bb 10.0.0.2:7000@17000,,shard-id=x master,fail - 0 0 5 connected 8192-16382 16383\n"
        "cc 10.0.0.3:7000@17000 slave aa 0 0 4 connected\n"
    )
    view = cluster.POLL.read(text.encode(), ASKED)
    assert len(view) == 256
    for bucket, owner in zip(cluster.BUCKETS, view, strict=True):
        first = cluster.slot_of(bucket) < 8192
        assert owner == (Owner("one.example", 7000, "4") if first else Owner("10.0.0.2", 7000, "5"))


def test_a_server_that_met_nobody_is_where_it_was_asked() -> None:
    view = cluster.POLL.read(b"aa :7000@17000 myself,master - 0 0 0 connected 0-16383\n", ASKED)
    assert set(view) == {Owner("seed", 7000, "0")}


@pytest.mark.parametrize(
    "reply", [None, [], b"", b"aa :7000@17000 myself,master - 0 0 0 connected\n", hiredis.ReplyError("ERR no")]
)
def test_a_server_that_knows_no_owner_has_no_vote(reply: object) -> None:
    with pytest.raises(NoVote):
        cluster.POLL.read(reply, ASKED)


def test_slots_are_the_clusters_own() -> None:
    """From the specification: the slot of a key with a tag is the tag's; that of 123456789 is 0x31c3 mod 16384."""
    assert cluster.slot_of("{123456789}") == 0x31C3
    assert len({cluster.slot_of(bucket) for bucket in cluster.BUCKETS}) == 256
