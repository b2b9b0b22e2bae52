"""``mytalk serve``: the HTTP and WebRTC server."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from streamer.commands.weights_options import add_weights_options
from streamer.config import ServerConfig
from streamer.ice_servers import IceServer
from streamer.server import serve


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options."""
    defaults = ServerConfig()
    parser = subparsers.add_parser("serve", help="serve live sessions over WebRTC", description=__doc__)
    parser.add_argument("--host", default=defaults.host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=defaults.port, help="port to listen on (default: %(default)s)")
    add_weights_options(parser)
    parser.add_argument(
        "--max-sessions", type=int, default=defaults.max_sessions, help="sessions at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--portrait", type=Path, help="picture or clip of portrait sessions (default: the embedded one)"
    )
    parser.add_argument(
        "--ice-server",
        action="append",
        default=[],
        metavar="SERVER",
        help="'stun:HOST', or 'turn:HOST USER SECRET' in one word; repeatable",
    )
    parser.add_argument("--redirect", metavar="URL", help="another server, for whom this one has no room (307)")
    parser.add_argument(
        "--require-consent", action="store_true", help="refuse portraits of clients without the person's consent"
    )
    parser.add_argument("--recordings", type=Path, metavar="FOLDER", help="sessions may ask to be recorded into it")
    parser.add_argument(
        "--push-to",
        action="append",
        default=[],
        metavar="URL",
        help="sessions may ask to be pushed to URLs that begin so, as rtmp://HOST/; repeatable",
    )
    parser.add_argument("--verbose", action="store_true", help="log every step")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C or SIGTERM; raises ``MyTalkError`` where the server cannot start."""
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.WARNING, format="%(levelname)s %(message)s")
    config = ServerConfig(
        host=args.host,
        port=args.port,
        preset=args.preset,
        device=args.device,
        speech_model=args.speech_model,
        dtype=args.dtype,
        max_sessions=args.max_sessions,
        portrait=args.portrait,
        ice_servers=tuple(IceServer.parse(text) for text in args.ice_server),
        redirect=args.redirect,
        require_consent=args.require_consent,
        recordings=args.recordings,
        push_to=tuple(args.push_to),
    )
    serve(config, lambda url: print(f"Serving at {url} (Ctrl-C to stop)", flush=True))
    return 0
