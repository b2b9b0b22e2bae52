"""Peers of a call: a real one that keeps what it receives, and one on which the test decides what arrives."""

from __future__ import annotations

import asyncio
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from streamer.webrtc.refusals import Refusals
from tests.streamer.support import aiortc_peer
from tests.streamer.support.waiting import eventually


class Viewer:
    """A real peer: sends the given tracks, keeps every frame it gets with the time it came."""

    def __init__(self, *tracks: MediaStreamTrack, receive: tuple[str, ...] = ()) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks = tracks
        self.pictures: list[tuple[float, av.VideoFrame]] = []
        self.sounds: list[tuple[float, av.AudioFrame]] = []
        self._readers: list[asyncio.Task[None]] = []
        for track in tracks:
            self.connection.addTrack(track)
        for kind in receive:
            self.connection.addTransceiver(kind, direction="recvonly")
        self.connection.on("track", self._on_track)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._readers.append(asyncio.create_task(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        kept: list[Any] = self.pictures if track.kind == "video" else self.sounds
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            kept.append((asyncio.get_running_loop().time(), frame))

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def take(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    async def until(self, pictures: int = 0, sounds: int = 0) -> None:
        """Returns when so many frames have come; fails after a minute."""
        await eventually(lambda: len(self.pictures) >= pictures and len(self.sounds) >= sounds)

    def heard(self) -> NDArray[np.int16]:
        """Joins all sound that came, left channel."""
        return np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 0] for _, frame in self.sounds])

    def vanish(self) -> None:
        """Goes away without a word: every socket is closed, nothing is said."""
        aiortc_peer.vanish(self.connection)

    async def close(self) -> None:
        await self.connection.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


class SilentPeer:
    """A connection on which the test decides what arrives."""

    def __init__(self) -> None:
        self.connected, self.gone = asyncio.Event(), asyncio.Event()
        self.id = "silent"
        self.carried = (0, 0)
        self.refusals = Refusals()
        self.sound_in = self.pictures_in = None
        self.count = 0
        self.closed = False

    async def datagrams(self) -> int:
        return self.count

    def expects_packets(self) -> bool:
        return True

    async def close(self) -> None:
        self.closed = True
