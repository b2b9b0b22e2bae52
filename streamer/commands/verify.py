"""``mytalk verify``: says whether a film is marked as synthetic, by its manifest and by its pixels.

Exit codes: 0 marked, 1 no mark found, 2 not a film, 3 a manifest that is broken: the film was changed since.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from mytalk.errors import InputError

MOST_BYTES = 2 << 30
"""Bytes of a film at a URL."""

FETCH_TIMEOUT = 30.0
"""Seconds without an answer after which a URL is given up."""

_BLOCK = 1 << 20


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options."""
    parser = subparsers.add_parser("verify", description=__doc__)
    parser.add_argument("film", metavar="FILE_OR_URL", help="a film; its manifest may lie beside it, as FILE.c2pa")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--seconds", type=float, help="look for a watermark in this much of it (default: all of it)")
    parser.add_argument("--trust", type=Path, metavar="PEM", help="certificates of issuers that you trust")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the report and gives its exit code; raises ``MyTalkError``."""
    import msgspec

    from streamer.trust.verification import verify, words

    with ExitStack() as opened:
        film, name = Path(args.film), Path(args.film).name
        if urlsplit(args.film).scheme in ("http", "https"):
            name = Path(urlsplit(args.film).path).name or "film"
            film = _fetch(args.film, Path(opened.enter_context(TemporaryDirectory())) / name)
        report = verify(film, seconds=args.seconds, anchors=_anchors(args.trust), name=name)
    if args.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    else:
        print(words(report), flush=True)
    return report.exit_code


def _anchors(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error} (need certificates as PEM)") from error


def _fetch(url: str, target: Path) -> Path:
    """Copies what is at a URL into a file. Raises InputError."""
    try:
        with urlopen(url, timeout=FETCH_TIMEOUT) as answer, target.open("wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                if file.tell() > MOST_BYTES:
                    raise InputError(
                        f"{url}: longer than {MOST_BYTES >> 30} GiB (fetch it yourself, and give the file)"
                    )
    except (URLError, OSError) as error:
        raise InputError(f"{url}: {error} (need a film that can be fetched)") from error
    return target
