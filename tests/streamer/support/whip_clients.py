"""Clients that publish by WHIP and watch by WHEP: by the specifications, and with OBS's habits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

from aiortc import MediaStreamTrack, RTCRtpSender

from tests.streamer.support.http_client import Answer, Client, ask
from tests.streamer.support.peers import Viewer
from tests.streamer.support.pictures import number_of
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import LIMIT_S

SDP = "application/sdp"


FRAGMENT = "application/trickle-ice-sdpfrag"


async def post(client: Client, path: str, token: str | None, sdp: str) -> Answer:
    return await ask(client, "POST", path, token, data=sdp.encode(), headers={"Content-Type": SDP})


def without_candidates(sdp: str) -> str:
    """As a client offers that gathers later."""
    left_out = ("a=candidate:", "a=end-of-candidates")
    return "".join(line for line in sdp.splitlines(keepends=True) if not line.startswith(left_out))


def prefer(peer: Viewer, *codecs: str) -> None:
    """The peer's video knows these codecs alone."""
    known = RTCRtpSender.getCapabilities("video").codecs
    wanted = [codec for name in codecs for codec in known if codec.name.lower() == name]
    for transceiver in peer.connection.getTransceivers():
        if transceiver.kind == "video":
            transceiver.setCodecPreferences(wanted)


class Obs(Viewer):
    """Sends as OBS does: H264 constrained baseline and Opus, in an offer without candidates, and none follow.

    It takes exactly 201 with a body and a Location for a success, and 200 for the end of its stream.
    """

    def __init__(self, *tracks: MediaStreamTrack) -> None:
        super().__init__(*(tracks or (Microphone(babble(60)), Camera())))
        for transceiver in self.connection.getTransceivers():
            transceiver.direction = "sendonly"
        known = RTCRtpSender.getCapabilities("video").codecs
        baseline = [codec for codec in known if codec.parameters.get("profile-level-id") == "42e01f"]
        for transceiver in self.connection.getTransceivers():
            if transceiver.kind == "video":
                transceiver.setCodecPreferences(baseline)
        self.resource = ""

    async def start(self, client: Client, path: str, token: str) -> Answer:
        sdp = without_candidates(await self.offer())
        answer = await post(client, path, token, sdp)
        if answer.status == 307:  # curl follows, and is told to give the other server the token as well
            answer = await post(client, answer.headers["Location"], token, sdp)
        assert answer.status == 201
        assert answer.text.startswith("v=0")
        self.resource = urljoin(client.url, answer.headers["Location"])
        await self.take(answer.text)
        return answer

    async def stop(self, client: Client, token: str) -> None:
        answer = await ask(client, "DELETE", self.resource, token)
        assert answer.status == 200
        await self.close()


async def watch(client: Client, session: dict[str, Any], *codecs: str, sound: bool = True) -> Viewer:
    """A viewer with its answer; the first picture is on its way."""
    viewer = Viewer(receive=("audio", "video") if sound else ("video",))
    if codecs:
        prefer(viewer, *codecs)
    answer = await post(client, session["urls"]["whep"], session["view_token"], await viewer.offer())
    assert answer.status == 201, answer.text
    await viewer.take(answer.text)
    return viewer


async def numbers_seen(viewer: Viewer, different: int) -> list[int]:
    """The numbers of the pictures that came, once so many are different; each picture is read once."""
    numbers: list[int] = []
    async with asyncio.timeout(LIMIT_S):
        while len(set(numbers)) < different:
            for _, frame in viewer.pictures[len(numbers) :]:
                numbers.append(number_of(frame.to_ndarray(format="rgb24")))
            await asyncio.sleep(0.1)
    return numbers


async def loud(viewer: Viewer) -> None:
    """Returns once speech is heard: on a busy machine the first of it may come too late."""
    async with asyncio.timeout(LIMIT_S):
        heard = 0
        while not any(abs(frame.to_ndarray()).max() > 3000 for _, frame in viewer.sounds[heard:]):
            heard = len(viewer.sounds)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def published(client: Client, **options: object) -> AsyncIterator[tuple[dict[str, Any], Obs]]:
    """A session that OBS publishes to."""
    session = await client.create(**options)
    obs = Obs()
    try:
        await obs.start(client, session["urls"]["whip"], session["token"])
        yield session, obs
    finally:
        await obs.close()
