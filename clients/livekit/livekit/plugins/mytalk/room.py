"""Brings one avatar into one room, and frees everything once the agent has left it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

from livekit import rtc
from mytalk_client import ClientError, EndedError
from mytalk_client.avatar import Avatar, open_avatar

from .generator import MyTalkVideoGenerator
from .runner import runner_for

JOIN_SECONDS = 30.0
"""The longest that an avatar may take to join: its session, its first picture, the room and the agent in it."""


class BadRequestError(ValueError):
    """Refuses a request of a room; the message names the field."""


@dataclass(frozen=True, slots=True)
class RoomRequest:
    """Asks for an avatar in a room.

    ``url``, ``token``: of the LiveKit server, for this room and the avatar's identity. ``agent``: identity of whose
    speech it says; the first agent in the room where it is empty. ``options``: of a session of the MyTalk streamer.
    """

    url: str
    token: str
    agent: str = ""
    portrait: bytes | str | None = None  # a picture, or the name of a file in the server's folder of faces
    consent: Mapping[str, str] | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Returns the body of the request."""
        body: dict[str, object] = {"url": self.url, "token": self.token, "agent": self.agent}
        return body | face_to_json(self.portrait, self.consent) | {"options": dict(self.options)}

    @classmethod
    def parse(cls, data: bytes) -> RoomRequest:
        """Reads a request's body. Raises ``BadRequestError``."""
        try:
            body = json.loads(data)
        except ValueError as error:
            raise BadRequestError(f"no JSON: {error}") from error
        if not isinstance(body, dict):
            raise BadRequestError("no JSON object")
        if unknown := set(body) - {one.name for one in fields(cls)} - {"portrait_name"}:
            raise BadRequestError(f"unknown: {', '.join(sorted(unknown))}")
        for name in ("url", "token"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise BadRequestError(f"{name}: missing")
        if not body["url"].startswith(("ws://", "wss://", "http://", "https://")):
            raise BadRequestError("url: not that of a LiveKit server (need ws:// or wss://)")
        _check(body, "agent", str)
        _check(body, "options", dict)
        portrait, consent = face_of_json({name: body.pop(name) for name in _FACE if name in body})
        return cls(**body, portrait=portrait, consent=consent)


_FACE = ("portrait", "portrait_name", "consent")


def face_to_json(portrait: bytes | str | None, consent: Mapping[str, str] | None) -> dict[str, object]:
    """Returns the fields of a request that say which face is shown."""
    body: dict[str, object] = {} if consent is None else {"consent": dict(consent)}
    if isinstance(portrait, str):
        body["portrait_name"] = portrait
    elif portrait is not None:
        body["portrait"] = base64.b64encode(portrait).decode()
    return body


def face_of_json(body: object) -> tuple[bytes | str | None, Mapping[str, str] | None]:
    """Reads those fields. Raises ``BadRequestError``."""
    if not isinstance(body, dict) or set(body) - set(_FACE):
        raise BadRequestError(f"no face (known: {', '.join(_FACE)})")
    _check(body, "consent", dict)
    _check(body, "portrait_name", str)
    portrait = body.get("portrait")
    if portrait is None:
        return body.get("portrait_name"), body.get("consent")
    if not isinstance(portrait, str):
        raise BadRequestError("portrait: no base64")
    try:
        return base64.b64decode(portrait, validate=True), body.get("consent")
    except binascii.Error as error:
        raise BadRequestError(f"portrait: no base64 ({error})") from error


def _check(body: Mapping[str, Any], name: str, kind: type) -> None:
    if name in body and not isinstance(body[name], kind):
        raise BadRequestError(f"{name}: not {'an object' if kind is dict else 'a text'}")


class RoomAvatar:
    """Is one avatar in one room; :meth:`run` is its life."""

    def __init__(
        self,
        asked: RoomRequest,
        server_url: str,
        api_key: str | None = None,
        room: Callable[[], rtc.Room] = rtc.Room,
    ) -> None:
        self._asked, self._server_url, self._api_key, self._room = asked, server_url, api_key, room
        self._joined = asyncio.Event()
        self._avatar: Avatar | None = None
        self.disclosure = ""

    async def joined(self, running: asyncio.Task[None]) -> None:
        """Waits until it is in the room. Raises what ended ``running`` before."""
        waiting = asyncio.create_task(self._joined.wait())
        try:
            await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not self._joined.is_set():
            running.result()
            raise EndedError("the avatar left before it had joined")

    async def change_face(self, portrait: bytes | str | None, consent: Mapping[str, str] | None) -> None:
        """Shows another face in the room. Raises ``ClientError``."""
        if self._avatar is None:
            raise ClientError("the avatar has not joined yet")
        await self._avatar.change_face(portrait, consent)

    async def run(self) -> None:
        """Joins, speaks for as long as the agent is there, leaves. Raises ``ClientError`` or ``rtc.ConnectError``."""
        asked = self._asked
        of_face = {"portrait": asked.portrait, "consent": asked.consent}
        async with open_avatar(self._server_url, self._api_key, **of_face, **asked.options) as avatar:  # type: ignore[arg-type]
            self._avatar, self.disclosure = avatar, avatar.disclosure
            room = self._room()
            try:
                generator = MyTalkVideoGenerator(avatar)
                async with asyncio.timeout(JOIN_SECONDS):
                    await room.connect(asked.url, asked.token, rtc.RoomOptions(auto_subscribe=False))
                    gone = _agent_gone(room, asked.agent)
                    self._joined.set()
                    runner = await runner_for(room, generator, sender_identity=asked.agent or None)
                    await runner.start()
                try:
                    await _until_over(runner.wait_for_complete(), gone)
                finally:
                    await runner.aclose()
            except TimeoutError as error:
                raise ClientError(f"no agent in the room after {JOIN_SECONDS:.0f} s") from error
            finally:
                with suppress(Exception):  # of the framework's native library, where the room is lost
                    await room.disconnect()


async def _until_over(playing: Coroutine[Any, Any, None], gone: asyncio.Event) -> None:
    """Waits until the session's pictures end or the agent is gone."""
    tasks = {asyncio.create_task(playing), asyncio.create_task(gone.wait())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _agent_gone(room: rtc.Room, identity: str) -> asyncio.Event:
    """Returns an event that is set when the agent, or this avatar, has left the room."""
    gone = asyncio.Event()

    def on_left(person: rtc.RemoteParticipant) -> None:
        is_agent = person.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        if person.identity == identity if identity else is_agent:
            gone.set()

    room.on("participant_disconnected", on_left)
    room.on("disconnected", lambda *_: gone.set())
    return gone
