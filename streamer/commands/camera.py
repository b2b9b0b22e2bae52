"""``mytalk camera``: a portrait, a clip or your webcam speaks with your microphone's voice, as a camera for calls.

The result goes to a virtual camera (v4l2loopback on Linux, OBS's elsewhere) and to a loudspeaker or a virtual cable.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path

from mytalk.errors import OptionError
from streamer.commands.control_options import add_control_options, given_controls
from streamer.commands.weights_options import add_watermark_option, add_weights_options
from streamer.config.server_config import ServerConfig


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options."""
    parser = subparsers.add_parser("camera", description=__doc__)
    face = parser.add_mutually_exclusive_group()
    face.add_argument("--face", type=Path, metavar="FILE", help="portrait or clip (default: the embedded portrait)")
    parser.add_argument(
        "--background",
        default="own",
        metavar="WHICH",
        help="what a portrait's person is seen before: own, what the portrait shows; green; or the file of another "
        "image (default: %(default)s)",
    )
    face.add_argument("--webcam", metavar="NAME", help="/dev/video0, a webcam's name, or the URL of a stream")
    voice = parser.add_mutually_exclusive_group()
    voice.add_argument("--microphone", metavar="NAME", help="part of its name, or its number (default: the system's)")
    voice.add_argument("--voice", metavar="FILE", help="sound that is said over and over, or the URL of a stream")
    parser.add_argument("--to", metavar="NAME", help="virtual camera (default: the first that is free)")
    parser.add_argument(
        "--loudspeaker",
        metavar="NAME",
        help="where the voice is played in time with the picture: a virtual cable for calls; none: nowhere "
        "(default: the system's, for which wear headphones)",
    )
    parser.add_argument(
        "--profile", choices=("low", "balanced", "quality"), default="balanced", help="delay or quality"
    )
    add_watermark_option(parser)
    add_weights_options(parser)
    add_control_options(parser, without=("face",))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Shows until Ctrl-C; raises ``MyTalkError`` where a device, a file or the models cannot be used."""
    asyncio.run(show(args))
    return 0


async def show(args: argparse.Namespace) -> None:
    """Opens what was named, before the models are loaded, and shows until it is cancelled or a device ends."""
    from streamer.cpu import available_cores, engine_threads
    from streamer.devices.call_devices import CallDevices, DeviceNames
    from streamer.http.server import load_models
    from streamer.session.options import SessionOptions

    asked = {
        "source": "live" if args.webcam else "portrait",
        "profile": args.profile,
    }
    if args.webcam and args.background != "own":
        raise OptionError("--background is for a portrait (leave --webcam out)")
    options = replace(SessionOptions.from_json(asked), **given_controls(args))
    config = ServerConfig(preset=args.preset, device=args.device, speech_model=args.speech_model, dtype=args.dtype)
    names = DeviceNames(
        face=None if args.webcam else args.face or config.portrait_path,
        background=args.background,
        webcam=args.webcam,
        voice=args.voice,
        microphone=args.microphone,
        camera=args.to,
        loudspeaker=args.loudspeaker,
        watermark=args.watermark,
    )
    threads = engine_threads(available_cores())
    with CallDevices(names) as devices:
        await devices.hold(options, lambda: load_models(config, threads), threads)
