"""``mytalk mic``: sends this machine's microphone to a session of a running server."""

from __future__ import annotations

import argparse

from mytalk.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and, where the client is installed, its options."""
    parser = subparsers.add_parser("mic", description=__doc__)
    parser.set_defaults(run=run)
    try:
        from mytalk_client.microphone import add_arguments
    except ModuleNotFoundError:
        parser.add_argument("ignored", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
        return
    add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Sends until Ctrl-C; raises ``InputError`` where the client, PortAudio or a device is missing."""
    try:
        from mytalk_client import ClientError
        from mytalk_client.microphone import run as talk
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is missing (pip install './clients/python[mic]')") from error
    try:
        return talk(args)
    except ClientError as error:
        raise InputError(str(error)) from error
