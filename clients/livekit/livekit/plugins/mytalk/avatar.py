"""Starts an avatar for an agent, in the manner of the framework's other avatars."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

import aiohttp
from livekit import api, rtc
from livekit.agents import AgentSession, get_job_context
from livekit.agents.voice.avatar import AvatarSession as BaseAvatarSession
from livekit.agents.voice.avatar import DataStreamAudioOutput
from livekit.agents.voice.room_io import ATTRIBUTE_PUBLISH_ON_BEHALF
from mytalk_client import ClientError
from mytalk_client.avatar import SPEECH_RATE
from mytalk_client.local_server import local_server

from .log import logger
from .room import JOIN_SECONDS, RoomRequest, face_to_json

IDENTITY = "mytalk-avatar"

_ANSWER_SECONDS = JOIN_SECONDS + 5


class MyTalkError(Exception):
    """Reports that an avatar could not be started; the message says why."""


class AvatarSession(BaseAvatarSession):  # type: ignore[type-arg]
    """Is the avatar of one agent, in one room.

    ``portrait``: the bytes of a picture of a face, with ``consent`` (who, when, purpose) of the person, or the name of
    a portrait or clip in the server's folder of faces; the server's own face without. ``worker_url``: of a running
    ``mytalk-livekit-worker`` (or MYTALK_WORKER_URL), with ``worker_key`` (or MYTALK_WORKER_KEY); without one, a worker
    is started for this session, which takes some seconds. ``server_url``: of a MyTalk streamer that such a worker shall
    use. ``options``: of its session, such as ``profile`` or ``background="green"``.
    """

    def __init__(
        self,
        *,
        portrait: bytes | str | None = None,
        consent: Mapping[str, str] | None = None,
        worker_url: str | None = None,
        worker_key: str | None = None,
        server_url: str | None = None,
        avatar_participant_identity: str = IDENTITY,
        avatar_participant_name: str = "MyTalk avatar",
        **options: object,
    ) -> None:
        super().__init__()
        self._portrait, self._consent, self._options = portrait, consent, options
        self._worker_url = worker_url or os.environ.get("MYTALK_WORKER_URL")
        self._worker_key = worker_key or os.environ.get("MYTALK_WORKER_KEY")
        self._server_url = server_url
        self._identity, self._name = avatar_participant_identity, avatar_participant_name
        self._started = AsyncExitStack()
        self._headers = {"Authorization": f"Bearer {self._worker_key}"} if self._worker_key else {}
        self._room_url: str | None = None  # at the worker, once it has joined
        self.disclosure = ""  # to be shown to whoever sees the avatar

    @property
    def avatar_identity(self) -> str:
        """Returns the identity that the avatar has in the room."""
        return self._identity

    @property
    def provider(self) -> str:
        """Returns the name under which the framework's metrics count it."""
        return "mytalk"

    async def start(
        self,
        agent_session: AgentSession,  # type: ignore[type-arg]
        room: rtc.Room,
        *,
        livekit_url: str | None = None,
        livekit_api_key: str | None = None,
        livekit_api_secret: str | None = None,
    ) -> None:
        """Brings the avatar into the room and sends it the agent's speech. Raises ``MyTalkError``."""
        await super().start(agent_session, room)
        url = livekit_url or os.environ.get("LIVEKIT_URL")
        key = livekit_api_key or os.environ.get("LIVEKIT_API_KEY")
        secret = livekit_api_secret or os.environ.get("LIVEKIT_API_SECRET")
        if not url or not key or not secret:
            raise MyTalkError("no LiveKit server (give livekit_url, livekit_api_key and livekit_api_secret)")
        context = get_job_context(required=False)
        agent = context.local_participant_identity if context is not None else room.local_participant.identity
        token = self._token(key, secret, room.name, agent)
        await self._join(RoomRequest(url, token, agent, self._portrait, self._consent, self._options))
        output = DataStreamAudioOutput(
            room=room,
            destination_identity=self._identity,
            wait_remote_track=rtc.TrackKind.KIND_VIDEO,
            wait_playback_start=True,  # the avatar reports it, so transcripts begin with the speech
            sample_rate=SPEECH_RATE,
        )
        agent_session.output.replace_audio_tail(output)

    async def change_face(self, portrait: bytes | str | None = None, consent: Mapping[str, str] | None = None) -> None:
        """Shows another face, crossfaded, while speech goes on: ``portrait`` and ``consent`` as at the beginning.
        Raises ``MyTalkError``."""
        if self._room_url is None:
            raise MyTalkError("the avatar has not been started")
        try:
            await self._post(f"{self._room_url}/face", face_to_json(portrait, consent))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            raise MyTalkError(f"no other face: {error}") from error

    async def aclose(self) -> None:
        """Makes the avatar leave, and stops what was started for it."""
        try:
            await self._started.aclose()
        finally:
            await super().aclose()

    def _token(self, key: str, secret: str, room: str, agent: str) -> str:
        token = api.AccessToken(key, secret).with_kind("agent").with_identity(self._identity).with_name(self._name)
        token = token.with_grants(api.VideoGrants(room_join=True, room=room))
        return token.with_attributes({ATTRIBUTE_PUBLISH_ON_BEHALF: agent}).to_jwt()

    async def _join(self, asked: RoomRequest) -> None:
        where = self._worker_url or "a worker of its own"
        try:
            worker = self._worker_url or ""
            if not worker:
                worker = await self._started.enter_async_context(local_server(command=self._command()))
            rooms = f"{worker.rstrip('/')}/v1/rooms"
            body = await self._post(rooms, asked.to_json())
        except (ClientError, aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            await self._started.aclose()
            raise MyTalkError(f"no avatar from {where}: {error}") from error
        self.disclosure = body["disclosure"]
        self._room_url = f"{rooms}/{body['id']}"
        self._started.push_async_callback(_leave, self._room_url, self._headers)

    async def _post(self, url: str, body: Mapping[str, object]) -> dict[str, str]:
        """Returns the worker's answer, empty where it has none. Raises ``MyTalkError`` where it refuses."""
        timeout = aiohttp.ClientTimeout(_ANSWER_SECONDS)
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=timeout) as http,
            http.post(url, json=body) as response,
        ):
            answer = dict(await response.json()) if response.content_type == "application/json" else {}
        if response.status >= 400:
            raise MyTalkError(f"{answer['error']['code']}: {answer['error']['message']}")
        return answer

    def _command(self) -> tuple[str, ...]:
        server = ("--server", self._server_url) if self._server_url else ()
        return sys.executable, "-m", "livekit.plugins.mytalk.worker", "--port", "0", *server


async def _leave(room_url: str, headers: Mapping[str, str]) -> None:
    """Makes an avatar leave its room; a worker that is gone has left it."""
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(5)) as http:
            await http.delete(room_url)
    except (aiohttp.ClientError, TimeoutError) as error:
        logger.info("the worker is gone: %s", error)
