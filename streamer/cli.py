"""Runs the command ``mytalk``. Every error is one line on standard error; ``--debug`` adds the traceback."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from mytalk.errors import InputError, MyTalkError
from mytalk.runtime.extras import needed
from streamer.commands.quiet_stderr import open_standard_streams, silenced
from streamer.commands.signals import end_on_signals
from streamer.cpu import sleep_when_idle

COMMANDS = {
    "camera": "an avatar as a camera for video calls",
    "consents": "list and revoke the consents of a server",
    "demo": "the embedded portrait speaks, in a file and live",
    "dub": "make a face in a file speak",
    "evaluate": "measure lip sync and picture quality",
    "keys": "make and revoke API keys of a server",
    "mic": "speak with a microphone to a running server",
    "serve": "serve live sessions over WebRTC",
    "train": "train the models of a preset",
    "verify": "say whether a film is marked as synthetic",
}
"""Modules of ``streamer.commands``, and what they are for. Only the one that is called is imported."""

_EXTRAS = {"evaluate": "evaluate", "train": "train"}  # those that commands are told to install; otherwise gpu
_OPTIONAL = frozenset({"accelerate", "flatbuffers", "onnx", "pocketsphinx", "tensorboard", "tflite", "torch"})

_NESTED = ("trainer", "action")  # names under which commands keep a subcommand of their own

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it."""

BUG = 70
"""Exit code of an error in MyTalk itself (EX_SOFTWARE)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code. Unknown or malformed arguments end the program with 2."""
    open_standard_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words[:1]
    end_on_signals()
    sleep_when_idle()
    args = None
    with nullcontext() if debug else silenced():
        try:
            _check_folder()
            args = _parse(words)
            return int(args.run(args))
        except MyTalkError as error:
            _print_error(str(error))
            _print_traceback(debug)
            return error.exit_code
        except KeyboardInterrupt:
            _print_error("interrupted; no unfinished file was kept")
            return INTERRUPTED
        except Exception as error:
            if (missing := _missing_extra(error, args.command if args is not None else "")) is not None:
                _print_error(missing)
                _print_traceback(debug)
                return InputError.exit_code
            _print_error(
                f"unexpected: {type(error).__name__}: {error} (mytalk --debug ... shows where)".replace("\n", " ")
            )
            _print_traceback(debug)
            return BUG


def _missing_extra(error: Exception, command: str) -> str | None:
    """Words that a package of an extra is not installed; None where that is not what went wrong."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    module = error.name.partition(".")[0]
    return needed(f"mytalk {command}", module, _EXTRAS.get(command, "gpu")) if module in _OPTIONAL else None


def _check_folder() -> None:
    """Raises InputError where the working folder was deleted: a library of the models ends the program over it."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise InputError("the working folder was deleted (change to one that is there)") from error


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line."""

    def error(self, message: str) -> NoReturn:
        _print_error(f"{message} (see {self.prog} --help)")
        raise SystemExit(2)


def _parse(words: list[str]) -> argparse.Namespace:
    """Parses a command's words. A word that none takes ends the program with a hint at that command's own help."""
    parser = _parser(words)
    args, unknown = parser.parse_known_args(words)
    if unknown:
        path = [parser.prog, args.command, *filter(None, (getattr(args, name, None) for name in _NESTED))]
        _print_error(f"unrecognized arguments: {' '.join(unknown)} (see {' '.join(path)} --help)")
        raise SystemExit(2)
    return args


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="mytalk", description="Make a face speak: live or stored video in, speech in, video out.")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and what native libraries log")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((word for word in words if word in COMMANDS), None)
    for name, purpose in COMMANDS.items():
        if name == chosen:
            import_module(f"streamer.commands.{name}").add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=purpose)
    return parser


def _print_error(text: str) -> None:
    print(f"mytalk: error: {text}", file=sys.stderr, flush=True)


def _print_traceback(debug: bool) -> None:
    if debug:
        traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
