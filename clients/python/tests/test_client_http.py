"""Making a session, as the fixture says it, of a server that runs; and what the client makes of the answer."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from lines import fixture
from mytalk_client import RefusedError, create_session, end_session, session_state

ROWS = fixture("http")


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
