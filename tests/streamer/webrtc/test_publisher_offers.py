"""Offers of other programs are answered so that they go live, and GStreamer's own connection is seen."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest

from streamer.http.server import Running
from streamer.webrtc.connection import Connection
from streamer.webrtc.sdp_offer import read_offer
from tests.streamer import support
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client
from tests.streamer.support.publisher_offers import GSTREAMER, OFFERS
from tests.streamer.support.waiting import eventually

PYTHON = "/usr/bin/python3"
"""The system's own, for which GStreamer's bindings are packaged (``python3-gi``, ``gir1.2-gst-plugins-bad-1.0``)."""


def has_gstreamer() -> bool:
    code = (
        "import gi; gi.require_version('GstWebRTC', '1.0'); from gi.repository import Gst, GstWebRTC; Gst.init(None); "
        "wanted = 'webrtcbin', 'nicesink', 'x264enc', 'opusenc', 'dtlsenc', 'srtpenc'; "
        "assert all(map(Gst.ElementFactory.find, wanted))"
    )
    return Path(PYTHON).exists() and subprocess.run([PYTHON, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("name", OFFERS)
async def test_a_publisher_s_offer_is_answered_with_both_its_tracks(name: str) -> None:
    offer = read_offer(OFFERS[name])
    assert (offer.sends_audio, offer.sends_video) == (True, True)
    connection = Connection()
    try:
        answer = await connection.answer(offer)
    finally:
        await connection.close()
    offered = re.findall(r"(?m)^a=mid:(\S+)", OFFERS[name])
    assert re.findall(r"(?m)^a=mid:(\S+)\r$", answer) == offered
    assert re.findall(r"(?m)^a=group:BUNDLE (.*)\r$", answer) == [" ".join(offered)]
    assert answer.count("a=recvonly") == 2
    assert not re.findall(r"(?m)^m=\S+ 0 ", answer)
    taken = re.findall(r"(?m)^a=rtpmap:(\d+) (\w+)/", answer)
    assert {codec.lower() for _, codec in taken} >= {"opus", "h264"}
    numbers = set(re.findall(r"(?m)^a=rtpmap:(\d+) ", OFFERS[name]))
    assert {number for number, _ in taken} <= numbers  # none that was not offered
    assert "a=setup:active" in answer


async def test_a_section_of_port_0_that_is_no_part_of_a_bundle_is_refused() -> None:
    refused = GSTREAMER.replace("a=bundle-only\r\n", "").replace("BUNDLE video0 audio1", "BUNDLE video0")
    assert not read_offer(refused).sends_audio


@pytest.mark.skipif(not has_gstreamer(), reason="needs GStreamer's webrtcbin and the system's Python bindings")
async def test_gstreamer_publishes(client: Client, server: Running, models: FakeModels) -> None:
    session = await client.create()
    script = str(Path(str(support.__file__)).with_name("gstreamer_publisher.py"))
    given = (client.url + session["urls"]["whip"], session["token"], "speed-preset=superfast", "key-int-max=25")
    process = await asyncio.create_subprocess_exec(PYTHON, script, *given, env={"PATH": os.environ.get("PATH", "")})
    try:
        await eventually(lambda: bool(models.streams) and models.streams[0].tracked > 10)
    finally:
        process.kill()
        await process.wait()
