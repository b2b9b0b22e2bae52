"""Adds the options that the commands share: which server, and whose face."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TypedDict

from mytalk_client.errors import ClientError
from mytalk_client.http import Consent


class Face(TypedDict):
    """Holds a face as :func:`mytalk_client.connect` takes it."""

    portrait: bytes | None
    consent: Consent | None


def add_server(parser: argparse.ArgumentParser) -> None:
    """Adds ``--url`` and ``--api-key``."""
    parser.add_argument("--url", default="http://localhost:8080", help="of the server (default: %(default)s)")
    key = os.environ.get("MYTALK_API_KEY")
    parser.add_argument("--api-key", default=key, help="where the server wants one (default: MYTALK_API_KEY's)")


def add_face(parser: argparse.ArgumentParser) -> None:
    """Adds ``--portrait`` and ``--consent``."""
    parser.add_argument("--portrait", type=Path, metavar="PICTURE", help="a face of your own (default: the server's)")
    parser.add_argument("--consent", nargs=3, metavar=("WHO", "WHEN", "PURPOSE"), help="of the person on it")


def face(args: argparse.Namespace) -> Face:
    """Returns the face that the options name. Raises ``ClientError`` for a picture that cannot be read."""
    consent = dict(zip(("who", "when", "purpose"), args.consent, strict=True)) if args.consent else None
    try:
        return {"portrait": args.portrait.read_bytes() if args.portrait is not None else None, "consent": consent}
    except OSError as error:
        raise ClientError(f"{args.portrait}: {error.strerror}") from error
