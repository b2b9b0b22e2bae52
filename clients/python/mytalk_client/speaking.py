"""Runs ``mytalk-client say``: a WAV file and a portrait to a film, by a live server and over one WebSocket."""

from __future__ import annotations

import argparse
import asyncio
import sys
import wave
from pathlib import Path
from typing import BinaryIO

from mytalk_client.arguments import add_face, add_server, face
from mytalk_client.errors import ClientError, FormatError
from mytalk_client.formats import SpeechFormat
from mytalk_client.messages import Error, PlaybackFinished, SessionEnded, Video
from mytalk_client.session import Session, connect

TAIL_PTS = 8_000
"""Media time (16 kHz; 0.5 s) that the film goes on after the last word: the mouth closes."""


def read_wav(path: Path) -> tuple[SpeechFormat, bytes]:
    """Reads 16-bit PCM of one or two channels. Raises ``ClientError``."""
    try:
        with wave.open(str(path)) as file:
            width, channels = file.getsampwidth(), file.getnchannels()
            if width != 2 or channels > 2:
                raise ClientError(f"{path}: {8 * width} bits, {channels} channels (need 16 bits, one or two)")
            return SpeechFormat(file.getframerate(), channels), file.readframes(file.getnframes())
    except FormatError as error:
        raise ClientError(
            f"{path}: {error}; ffmpeg -i IN -ar 48000 -c:a pcm_s16le OUT.wav makes such a file"
        ) from error
    except (OSError, EOFError, wave.Error) as error:
        raise ClientError(f"{path}: no WAV file ({error}; ffmpeg -i IN -c:a pcm_s16le OUT.wav makes one)") from error


async def film(session: Session, pcm: bytes, out: Path) -> int:
    """Says ``pcm`` and writes the film as it comes. Returns the number of bytes. Raises ``ClientError``.

    The file appears when it is whole; what was there before stays until then.
    """
    saying = asyncio.create_task(session.say(pcm, event_id="film"))
    part = _part(out)
    try:
        with part.open("wb") as file:
            written = await _write(session, file)
        part.replace(out)
        return written
    except OSError as error:
        raise ClientError(f"{out}: {error.strerror}") from error
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
        part.unlink(missing_ok=True)
        _show(None)


async def _write(session: Session, file: BinaryIO) -> int:
    """Writes the session's film until the speech was said and the mouth is closed. Returns the number of bytes."""
    written, last, until = 0, 0, None
    async for event in session:
        if isinstance(event, Video):
            written += await asyncio.to_thread(file.write, event.data)
            if until is not None and event.pts >= until:
                return written
            last = event.pts
            _show(last)
        elif isinstance(event, PlaybackFinished):
            until = last + TAIL_PTS
        elif isinstance(event, SessionEnded):
            raise ClientError(f"the session ended before all was said: {event.reason}")
        elif isinstance(event, Error):
            raise ClientError(f"{event.code}: {event.message}")
    raise ClientError("the session ended before all was said")


def check_output(out: Path, force: bool) -> Path:
    """Checks that a film can be written there, and returns where: behind links. Raises ``ClientError``."""
    out = out.resolve()
    if out.exists() and not out.is_file():
        raise ClientError(f"{out} is no ordinary file (need the name of one)")
    if out.exists() and not force:
        raise ClientError(f"{out} exists (--force replaces it)")
    try:
        _part(out).touch()
        _part(out).unlink()
    except OSError as error:
        raise ClientError(f"{out} cannot be written: {error.strerror}") from error
    return out


def _part(out: Path) -> Path:
    """Returns where the film is until it is whole."""
    return out.with_name(f".{out.name}.part")


def _show(pts: int | None) -> None:
    if sys.stderr.isatty():
        shown = " " * 20 if pts is None else f"{pts / 16_000:6.1f} s"
        print(f"\r{shown}\r", end="", file=sys.stderr, flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("speech", type=Path, metavar="SPEECH.wav")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.mp4")
    parser.add_argument("--force", action="store_true", help="replaces a file of that name")
    add_face(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Makes the film. Raises ``ClientError``."""
    speech, pcm = read_wav(args.speech)
    output = check_output(args.output, args.force)
    given = face(args)

    async def work() -> int:
        asked = connect(args.url, args.api_key, speech=speech, video="fmp4", **given)
        async with asked as session:
            print(session.disclosure, file=sys.stderr)
            return await film(session, pcm, output)

    print(f"{args.output}: {asyncio.run(work())} bytes")
    return 0
