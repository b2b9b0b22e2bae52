"""``mytalk serve``: the HTTP, WebSocket and WebRTC server.

Every option can also stand in a TOML file (--config) or in the environment (MYTALK_SERVE_...); the command line wins,
then the environment. --print-config shows what came out of it and from where.
"""

from __future__ import annotations

import argparse
import os

from streamer.config.sources import add_options, read_settings
from streamer.http.server import serve
from streamer.telemetry import logs


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options."""
    parser = subparsers.add_parser("serve", description=__doc__)
    add_options(parser)
    parser.add_argument("--print-config", action="store_true", help="show the configuration as TOML, and stop")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C or SIGTERM; raises ``MyTalkError`` where the server cannot start."""
    settings = read_settings(vars(args), os.environ)
    config = settings.config
    if args.print_config:
        print(settings.to_toml(), end="")
        return 0
    logs.begin(as_json=config.log == "json", verbose=config.verbose)
    serve(config, None if config.log == "json" else lambda url: print(f"Serving at {url} (Ctrl-C to stop)", flush=True))
    return 0
