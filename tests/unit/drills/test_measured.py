import pytest
from aiohttp import web

from ott_extauthz.drills.measured import scraped, total
from ott_extauthz.wire.http_server import serve_http
from tests.processes import free_port

TEXT = """
# TYPE ott_denials_total counter
ott_denials_total{route="a",reason="token_expired"} 2
ott_denials_total{route="b",reason="token_expired"} 3
ott_denials_total{route="b",reason="token_replayed"} 7
# TYPE ott_replays_total counter
ott_replays_total{route="b"} 7
# TYPE envoy_http_ext_authz_error counter
envoy_http_ext_authz_error{envoy_ext_authz_prefix="ott"} 4
envoy_http_ext_authz_error{envoy_ext_authz_prefix="other"} 1
"""


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('ott_denials_total{reason="token_expired"}', 5),
        ('ott_denials_total{reason="token_expired",route="a"}', 2),
        ('ott_denials_total{reason="region_denied"}', 0),
        ("ott_replays_total", 7),
        ("ott_absent_total", 0),
        ('envoy_http_ext_authz_error{envoy_ext_authz_prefix="ott"}', 4),
    ],
)
def test_the_series_that_a_query_names_are_added(query: str, found: float) -> None:
    assert total(TEXT, query) == found


def test_what_several_servers_expose_is_added() -> None:
    assert total(f"{TEXT}\n{TEXT}", "ott_replays_total") == 14


async def test_who_is_down_counts_nothing_and_stops_nobody() -> None:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text="ott_replays_total 1\n")

    app, port = web.Application(), free_port()
    app.add_routes([web.get("/metrics", metrics)])
    runner = await serve_http(app, f"127.0.0.1:{port}", setting="listen.admin", on_fault=lambda _: None)
    try:
        text = await scraped([f"http://127.0.0.1:{free_port()}/metrics", f"http://127.0.0.1:{port}/metrics"])
    finally:
        await runner.cleanup()
    assert total(text, "ott_replays_total") == 1
