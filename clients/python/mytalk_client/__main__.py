"""Runs the package from a shell: ``python -m mytalk_client say|dub|mic``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mytalk_client import dubbing, microphone, speaking
from mytalk_client.errors import ClientError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns 1, after one line on standard error, where it fails."""
    parser = argparse.ArgumentParser(prog="mytalk-client", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    say = commands.add_parser("say", help="a WAV file and a portrait to a film", description=speaking.__doc__)
    speaking.add_arguments(say)
    say.set_defaults(run=speaking.run)
    dub = commands.add_parser("dub", help="a camera, and a WAV file as its voice", description=dubbing.__doc__)
    dubbing.add_arguments(dub)
    dub.set_defaults(run=dubbing.run)
    mic = commands.add_parser("mic", help="speak with your microphone", description=microphone.__doc__)
    microphone.add_arguments(mic)
    mic.set_defaults(run=microphone.run)
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except ClientError as error:
        print(f"mytalk-client: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
