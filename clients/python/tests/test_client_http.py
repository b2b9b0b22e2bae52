"""Making a session, as the fixture says it, of a server that runs; and what the client makes of the answer."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from lines import fixture
from mytalk_client import RefusedError, SessionInfo, create_session, end_session, session_state
from mytalk_client.http import PATIENCE
from mytalk_client.session import _created

ROWS = fixture("http")


class Busy(BaseHTTPRequestHandler):
    """A server that is busy, says when to come back, and has room once it was asked ``times`` times."""

    times, status, retry_after = 3, 503, "0"
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        has_room = self.asked >= self.times
        body = ROWS[0]["response"] if has_room else {"error": {"code": "busy", "message": "no room"}}
        self.send_response(201 if has_room else self.status)
        if self.retry_after:
            self.send_header("Retry-After", self.retry_after)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def busy() -> Iterator[tuple[type[Busy], str]]:
    behaviour = type("Behaviour", (Busy,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), behaviour) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield behaviour, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def created(url: str, **given: Any) -> SessionInfo:
    """Makes a session as ``connect`` does."""
    return await _created(url, None, None, None, {}, given.get("patience", PATIENCE))


async def made(url: str, **given: Any) -> SessionInfo:
    """Makes a session as scripts do."""
    return await asyncio.to_thread(create_session, url, **given)


@pytest.mark.parametrize("make", [created, made])
async def test_a_busy_server_is_asked_again_when_it_said_to(
    busy: tuple[type[Busy], str], make: Callable[..., Awaitable[SessionInfo]], caplog: pytest.LogCaptureFixture
) -> None:
    behaviour, url = busy
    assert (await make(url)).id == ROWS[0]["response"]["id"]
    assert behaviour.asked == 3
    told = [record.message for record in caplog.records if record.name == "mytalk_client.http"]
    assert told == ["no room: asking again in 0.2 s"] * 2


@pytest.mark.parametrize("make", [created, made])
@pytest.mark.parametrize(
    ("status", "retry_after", "patience"), [(503, "60", 15.0), (503, "1", 0.0), (503, "", 15.0), (409, "0", 15.0)]
)
async def test_it_is_asked_once_where_waiting_is_in_vain_or_not_wanted(
    busy: tuple[type[Busy], str],
    make: Callable[..., Awaitable[SessionInfo]],
    status: int,
    retry_after: str,
    patience: float,
) -> None:
    behaviour, url = busy
    behaviour.status, behaviour.retry_after = status, retry_after
    with pytest.raises(RefusedError, match="no room") as refused:
        await make(url, patience=patience)
    assert refused.value.status == status
    assert behaviour.asked == 1


def asked(method: str, url: str, request: object) -> tuple[int, Any]:
    body = json.dumps(request).encode()
    ask = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(ask, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def like(given: object, sample: object, session: str) -> object:
    """Returns ``given`` with the sample's words where these differ every time."""
    if isinstance(given, dict) and isinstance(sample, dict):
        return {name: like(value, sample.get(name), session) for name, value in given.items()}
    if isinstance(sample, str) and isinstance(given, str):
        is_other = sample in ("<id>", "<token>", "<text>") or sample.replace("<id>", session) == given
        return sample if is_other else given
    return given


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
async def test_the_server_answers_as_the_fixture_says(url: str, row: dict[str, Any]) -> None:
    status, answer = await asyncio.to_thread(asked, row["method"], url + row["path"], row["request"])
    assert status == row["status"]
    assert like(answer, row["response"], answer.get("id", "")) == row["response"]


async def test_a_session_is_made_looked_at_and_ended_and_viewers_get_a_link(url: str) -> None:
    info = await asyncio.to_thread(create_session, url, source="live", speech="stream")
    assert info.expires_in == 3600
    assert info.urls["whip"] == f"{url}/v1/sessions/{info.id}/whip"
    assert info.watch_url == f"{url}/watch.html#{info.id}/{info.view_token}"
    assert await asyncio.to_thread(session_state, info) == "new"
    await asyncio.to_thread(end_session, info)
    with pytest.raises(RefusedError) as refused:
        await asyncio.to_thread(session_state, info)
    assert refused.value.status == 404
