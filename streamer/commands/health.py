"""Asks the server of this container whether it answers: ``python -m streamer.commands.health``, for a health check.

The server's address and TLS are read as the server reads them: from a TOML file, the environment, and the options of
process 1, which is the server there. Exit code 0: it answers; 1: it does not.
"""

from __future__ import annotations

import argparse
import os
import ssl
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from streamer.config.server_config import ServerConfig
from streamer.config.sources import add_options, read_settings

TIMEOUT = 2.0
"""Seconds that the server may take to answer."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def options_of(process: Path) -> list[str]:
    """Returns the options after ``serve`` of a process, given as its folder in ``/proc``; none where it is another."""
    try:
        words = process.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
    return words[words.index("serve") + 1 :] if "serve" in words else []


def address_of(config: ServerConfig) -> str:
    """Returns the URL by which this machine reaches the server's ``/healthz``."""
    host = _EVERYWHERE.get(config.host, config.host)
    scheme = "https" if config.tls_cert is not None else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.port}/healthz"


def main(options: Sequence[str]) -> int:
    """Asks the server with these options of its command line. Raises what ``urlopen`` raises: it does not answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    known, _ = parser.parse_known_args(options)
    url = address_of(read_settings(vars(known), os.environ).config)
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # this machine, whatever name its certificate has
    direct = urllib.request.ProxyHandler({})
    opener = urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=trust))
    with opener.open(url, timeout=TIMEOUT) as answer:
        return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(options_of(Path("/proc/1"))))
