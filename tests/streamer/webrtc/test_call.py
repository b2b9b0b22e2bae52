"""The peer of a call is one of the broadcast's audience: one encode serves it and the viewers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamer.http.server import Running
from streamer.session.session import Session
from streamer.webrtc.encoded import Encoded
from streamer.webrtc.peer import Peer
from streamer.webrtc.video_encoder import H264, VideoEncoder, Vp8
from tests.streamer.support.aiortc_peer import ask_for_keyframe, losing_packets
from tests.streamer.support.http_client import Client, call
from tests.streamer.support.peers import Viewer
from tests.streamer.support.pictures import number_of
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import prefer, watch


def only(server: Running) -> tuple[Session, Peer]:
    [session] = server.sessions.all()
    assert isinstance(session.connections.publisher, Peer)
    return session, session.connections.publisher


@pytest.fixture
def encodes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Codec and media time of every encode in the process."""
    made: list[tuple[str, int]] = []
    for kind in (H264, Vp8):

        def counted(self: VideoEncoder, frame: Any, ntp: int, *, keyframe: bool = False, kind: Any = kind) -> Any:
            made.append((kind.name, frame.at))
            return VideoEncoder.encode(self, frame, ntp, keyframe=keyframe)

        monkeypatch.setattr(kind, "encode", counted)
    return made


def numbers(viewer: Viewer) -> list[int]:
    return [number_of(frame.to_ndarray(format="rgb24")) for _, frame in viewer.pictures]


async def test_a_call_with_two_viewers_costs_one_encode_a_picture(
    client: Client, server: Running, encodes: list[tuple[str, int]]
) -> None:
    async with call(client, Microphone(babble(30)), Camera()) as (created, peer):
        viewers = [await watch(client, created, "vp8") for _ in range(2)]
        for viewer in (peer, *viewers):
            await viewer.until(pictures=30)
        session, ours = only(server)
        assert len(session.broadcast.audience) == 3
        assert ours in session.broadcast.audience
        assert {codec for codec, _ in encodes} == {"vp8"}
        assert len(encodes) == len(set(encodes))
        for viewer in viewers:
            await viewer.close()
    assert len(encodes) >= 30


async def test_a_call_watched_in_another_codec_costs_one_encode_more(
    client: Client, encodes: list[tuple[str, int]]
) -> None:
    async with call(client, Microphone(babble(30)), Camera()) as (created, peer):
        viewers = [await watch(client, created, "h264") for _ in range(2)]
        for viewer in (peer, *viewers):
            await viewer.until(pictures=10)
        assert {codec for codec, _ in encodes} == {"h264", "vp8"}
        assert len(encodes) == len(set(encodes))
        for viewer in viewers:
            await viewer.close()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_a_peer_gets_the_codec_that_its_offer_names(client: Client, server: Running, codec: str) -> None:
    peer = Viewer(Microphone(babble(30)), Camera())
    prefer(peer, codec)
    created = await client.create()
    await client.connect(created, peer)
    await peer.until(pictures=10, sounds=20)
    session, ours = only(server)
    assert ours.codec == codec
    assert session.broadcast.codecs == [codec]
    await peer.close()


async def test_a_peers_picture_stays_with_its_sound(client: Client, server: Running) -> None:
    """Sender reports of both tracks place a picture beside the speech of the same media time."""
    async with call(client, Microphone(babble(30)), Camera()) as (_, peer):
        _, ours = only(server)
        await peer.until(pictures=20, sounds=60)
        sent: dict[str, list[Encoded]] = {"sound": [], "picture": []}
        for name, kept in sent.items():
            take = getattr(ours, name)
            setattr(ours, name, lambda encoded, take=take, kept=kept: (kept.append(encoded), take(encoded)))
        await eventually(lambda: min(map(len, sent.values())) > 20)
    moments = {  # of media time 0 by each track's clock, seconds: the pacer's delay less what a picture was late
        name: np.median([encoded.ntp / 2**32 - encoded.at / 16_000 for encoded in kept]) for name, kept in sent.items()
    }
    assert abs(moments["sound"] - moments["picture"]) < 0.1
    for name, rate in (("sound", 48_000), ("picture", 90_000)):
        assert all(abs(one.timestamp / rate - one.at / 16_000) < 0.001 for one in sent[name])


async def test_a_peer_that_lost_the_picture_gets_a_keyframe_and_so_do_its_viewers(
    client: Client, server: Running
) -> None:
    async with call(client, Microphone(babble(30)), Camera()) as (created, peer):
        viewer = await watch(client, created, "vp8", sound=False)
        await viewer.until(pictures=10)
        _, ours = only(server)
        keys: list[bool] = []
        take = ours.picture

        def noted(encoded: Encoded) -> None:
            keys.append(encoded.key)
            take(encoded)

        ours.picture = noted  # type: ignore[method-assign]
        await eventually(lambda: len(keys) > 10)
        assert not any(keys)
        await ask_for_keyframe(peer.connection)
        await eventually(lambda: any(keys))
        await viewer.close()


async def test_packets_that_a_peer_lost_are_sent_again(client: Client, server: Running) -> None:
    async with call(client, Microphone(babble(30)), Camera()) as (_, peer):
        await peer.until(pictures=5)
        _, ours = only(server)
        sender = ours._picture_sender
        assert sender is not None
        assert sender.retransmitted == 0
        with losing_packets(peer.connection, share=0.2):
            await eventually(lambda: sender.retransmitted > 5)
        seen = len(peer.pictures)
        await peer.until(pictures=seen + 10)


async def test_an_interruption_leaves_nothing_that_waits_to_be_encoded(client: Client, server: Running) -> None:
    async with call(client, Microphone(babble(60)), Camera()) as (created, peer):
        await peer.until(sounds=60)
        session, _ = only(server)
        before = len(peer.sounds)
        assert session.clear().to_json()["interrupted"]
        await peer.until(sounds=before + 15)
        quiet = [abs(frame.to_ndarray()).max() < 50 for _, frame in peer.sounds[before:]]
        assert any(quiet)
        assert created["id"] == session.id


async def test_a_peer_leaves_the_audience_with_its_session(client: Client, server: Running) -> None:
    async with call(client, Microphone(babble(30)), Camera()) as (_, peer):
        await peer.until(pictures=5)
        session, _ = only(server)
    await eventually(lambda: not server.sessions.all())
    assert session.broadcast.audience == []
    assert numbers(peer) == sorted(numbers(peer))
