"""Runs ``mytalk-client dub``: a session for a camera (OBS, FFmpeg 8, a browser), and a WAV file as its voice.

Says where the camera publishes and where viewers watch, and speaks as soon as the camera is there.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from mytalk_client.arguments import add_server
from mytalk_client.errors import ClientError
from mytalk_client.formats import SpeechFormat
from mytalk_client.http import SessionInfo, create_session, end_session, session_state
from mytalk_client.messages import CameraBack, CameraLeft, Error, PlaybackFinished, PublisherWarning, SessionEnded
from mytalk_client.session import Session, connect
from mytalk_client.speaking import read_wav

_LOOK_SECONDS = 0.5


async def dub(url: str, info: SessionInfo, speech: SpeechFormat, pcm: bytes) -> None:
    """Speaks ``pcm`` until the session ends or the task is cancelled, which ends it.

    Raises ``ClientError``, also where the session ended before all was said.
    """
    try:
        async with connect(url, info=info, speech=speech) as session:
            try:
                await _speak(session, pcm)
            finally:
                info = session.info  # its token is a newer one
    finally:
        with suppress(ClientError):  # it has ended already
            await asyncio.to_thread(end_session, info)


async def _speak(session: Session, pcm: bytes) -> None:
    while await asyncio.to_thread(session_state, session.info) == "new":  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS)
    print(f"The camera is here: speaking ({session.format.milliseconds(pcm) / 1000:.1f} s).", flush=True)
    saying = asyncio.create_task(session.say(pcm))
    said, reason = False, "the connection closed"
    try:
        async for event in session:
            if isinstance(event, PlaybackFinished):
                said = True
                print("Said. The stream goes on until the camera leaves, or Ctrl-C.", flush=True)
            elif isinstance(event, Error):
                print(f"{event.code}: {event.message}", file=sys.stderr, flush=True)
            elif isinstance(event, PublisherWarning):
                print(f"The encoder: {event.message}", file=sys.stderr, flush=True)
            elif isinstance(event, CameraLeft):
                print("The camera sends no pictures: the voice waits for it.", file=sys.stderr, flush=True)
            elif isinstance(event, CameraBack):
                print("The camera is back.", file=sys.stderr, flush=True)
            elif isinstance(event, SessionEnded):
                reason = event.reason
    except ClientError as error:
        if said:
            raise
        reason = str(error)
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
    if not said:
        raise ClientError(f"the session ended before all was said: {reason}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("speech", type=Path, metavar="SPEECH.wav")
    parser.add_argument("--record", action="store_true", help="into the server's folder of recordings")
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Dubs until the camera leaves, or Ctrl-C. Raises ``ClientError``, also where it left before all was said."""
    speech, pcm = read_wav(args.speech)
    info = create_session(args.url, args.api_key, source="live", speech="stream", record=args.record)
    print(
        f"{info.disclosure}\nOBS: Settings, Stream, Service WHIP (keyframe interval 1 s)\n"
        f"  Server        {info.urls['whip']}\n  Bearer Token  {info.token}\nViewers: {info.watch_url}",
        flush=True,
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(dub(args.url, info, speech, pcm))
    return 0
