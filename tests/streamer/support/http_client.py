"""A client of the server's HTTP API, and its answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp import ClientResponse
from aiortc import MediaStreamTrack

from tests.streamer.support.peers import Viewer


class Client:
    """Speaks HTTP to a server under test."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url.rstrip("/")

    async def create(self, **options: object) -> dict[str, Any]:
        async with self.http.post(f"{self.url}/v1/sessions", json=options) as response:
            assert response.status == 201, await response.text()
            return dict(await response.json())

    async def connect(self, session: dict[str, Any], viewer: Viewer) -> None:
        offer = {"type": "offer", "sdp": await viewer.offer()}
        async with self.http.post(
            self.url + session["urls"]["webrtc"], json=offer, headers=bearer(session)
        ) as response:
            assert response.status == 201, await response.text()
            await viewer.take((await response.json())["sdp"])

    async def figures(self) -> dict[str, float]:
        """The server's metrics, by name and labels."""
        async with self.http.get(f"{self.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    async def state(self, session: dict[str, Any]) -> dict[str, Any]:
        async with self.http.get(self.url + session["urls"]["session"], headers=bearer(session)) as response:
            return dict(await response.json())


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['token']}"}


@asynccontextmanager
async def call(
    client: Client, *tracks: MediaStreamTrack, receive: tuple[str, ...] = (), **options: object
) -> AsyncIterator[tuple[dict[str, Any], Viewer]]:
    """A session with a connected viewer."""
    session = await client.create(**options)
    viewer = Viewer(*tracks, receive=receive)
    try:
        await client.connect(session, viewer)
        yield session, viewer
    finally:
        await viewer.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request, read whole."""

    status: int
    headers: Mapping[str, str]
    text: str
    links: tuple[str, ...] = ()

    @classmethod
    async def of(cls, response: ClientResponse) -> Answer:
        links = tuple(response.headers.getall("Link", []))
        return cls(response.status, response.headers, await response.text(), links)


async def ask(client: Client, method: str, path: str, token: str | None, **given: Any) -> Answer:
    """Makes one request; redirections are shown, not followed."""
    headers = dict(given.pop("headers", {}))
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    url = urljoin(client.url, path)
    async with client.http.request(method, url, headers=headers, allow_redirects=False, **given) as response:
        return await Answer.of(response)


async def request(client: Client, method: str, path: str, **given: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Makes one request; returns status, JSON body and headers."""
    async with client.http.request(method, client.url + path, **given) as response:
        return response.status, json.loads(await response.text() or "{}"), dict(response.headers)


def reason(body: dict[str, Any]) -> str:
    """The message of a refusal, which stands on one line."""
    assert set(body) == {"error"}, body
    assert "\n" not in body["error"]["message"]
    return str(body["error"]["message"])
