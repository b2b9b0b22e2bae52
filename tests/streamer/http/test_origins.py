"""Web pages of other origins: what they may ask of a server, and which answers they may read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from mytalk.errors import OptionError
from streamer.config.server_config import ServerConfig
from streamer.config.sources import read_settings
from streamer.http.server import Running, running
from tests.streamer.support.api_keys import Keys, make
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, ask

EVIL, FRIEND = "https://evil.example", "https://friend.example"
ALLOWED = "Access-Control-Allow-Origin"


async def test_a_foreign_page_makes_no_session_on_a_server_without_keys(client: Client, server: Running) -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("session", "{}", content_type="application/json")
    for origin in (EVIL, "null", client.url.replace("localhost", "127.0.0.1"), "http://[", client.url + "0"):
        for data in (b"{}", form()):
            kind = {} if not isinstance(data, bytes) else {"Content-Type": "application/json"}
            headers = {"Origin": origin, **kind}
            answer = await ask(client, "POST", "/v1/sessions", None, data=data, headers=headers)
            assert answer.status == 403, origin
            assert ALLOWED not in answer.headers
    assert not server.sessions.all()
    for headers in ({}, {"Origin": client.url}, {"Origin": client.url.replace("http", "https")}):
        answer = await ask(client, "POST", "/v1/sessions", None, json={}, headers=headers)
        assert answer.status in (201, 503), headers


async def test_a_foreign_page_opens_no_websocket_there(client: Client) -> None:
    session = await client.create(source="portrait", speech="stream")
    protocols = ("mytalk.v1", f"mytalk.token.{session['token']}")
    for origin, expected in ((EVIL, 403), (client.url, 101)):
        url = client.url + session["urls"]["stream"]
        try:
            async with client.http.ws_connect(url, protocols=protocols, origin=origin):
                status = 101
        except aiohttp.WSServerHandshakeError as error:
            status = error.status
        assert status == expected


async def test_pages_that_an_operator_allows_make_read_and_end_sessions(config: ServerConfig) -> None:
    config = replace(config, allow_origins=(FRIEND,))
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        headers = {"Origin": FRIEND}
        made = await ask(client, "POST", "/v1/sessions", None, json={}, headers=headers)
        assert (made.status, made.headers[ALLOWED], made.headers["Vary"]) == (201, FRIEND, "Origin")
        base = made.headers["Location"]
        for path in ("/v1/sessions", base, f"{base}/webrtc", f"{base}/clear"):
            before = await ask(client, "OPTIONS", path, None, headers=headers)
            assert (before.status, before.headers[ALLOWED]) == (200, FRIEND), path
            assert "Authorization" in before.headers["Access-Control-Allow-Headers"]
            refused = await ask(client, "OPTIONS", path, None, headers={"Origin": EVIL})
            assert (refused.status, ALLOWED in refused.headers) == (403, False)
        assert "DELETE" in (await ask(client, "OPTIONS", base, None)).headers["Access-Control-Allow-Methods"]
        failed = await ask(client, "GET", base, None, headers=headers)
        assert (failed.status, failed.headers[ALLOWED]) == (401, FRIEND)  # a page reads why


async def test_with_keys_a_foreign_page_changes_nothing_but_by_a_sessions_token(
    config: ServerConfig, tmp_path: Path
) -> None:
    keys = Keys(tmp_path / "keys.json")
    key = keys.add("publish")
    async with running(replace(config, keys=keys.path), FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        _, session = await make(client, key)
        headers = {"Origin": EVIL}
        for method, path in (("POST", "/v1/sessions"), ("DELETE", session["urls"]["session"])):
            answer = await ask(client, method, path, key, headers=headers)
            assert (answer.status, ALLOWED in answer.headers) == (403, False)
        view = {"right": "view"}
        answer = await ask(client, "POST", session["urls"]["tokens"], session["view_token"], json=view, headers=headers)
        assert (answer.status, answer.headers[ALLOWED]) == (201, "*")


async def test_an_operators_own_portrait_is_shown_to_keys_alone(config: ServerConfig, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    viewer, publisher = keys.add("view"), keys.add("publish")
    for portrait, expected in ((config.portrait, (401, 403, 200)), (None, (200, 200, 200))):
        changed = replace(config, keys=keys.path, portrait=portrait)
        async with running(changed, FakeModels) as server, aiohttp.ClientSession() as http:
            await server.loading
            seen = []
            for key in (None, viewer, publisher):
                headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
                async with http.get(f"{server.url}portrait", headers=headers) as response:
                    seen.append(response.status)
            assert tuple(seen) == expected
            await asyncio.sleep(0)


@pytest.mark.parametrize("origin", ["example.com", "https://", "https://example.com/", "https://a b", "ftp://x"])
def test_what_is_no_origin_is_told(origin: str) -> None:
    with pytest.raises(OptionError, match="an origin such as"):
        read_settings({"allow_origins": [origin]}, {})
