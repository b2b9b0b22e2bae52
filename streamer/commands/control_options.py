"""Makes command line options of the table of controls, and reads them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from mytalk.controls import TABLE, Control, Side
from mytalk.errors import MyTalkError

_TITLE: dict[Side, str] = {
    "both": "controls",
    "films": "controls of films alone",
    "portraits": "controls of portraits alone",
}


def add_control_options(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """Adds an option for each control, with its range and default in the help, but for those ``without``."""
    for side, title in _TITLE.items():
        controls = [one for one in TABLE if one.applies_to == side and one.name not in without]
        if controls:
            group = parser.add_argument_group(title, "what they do, in pictures: CONTROLS.md")
            for control in controls:
                _add(group, control)


def given_controls(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the controls that were given on the command line."""
    values = {control.name: getattr(args, f"control_{control.name}", None) for control in TABLE}
    return {name: value for name, value in values.items() if value is not None}


def _add(group: argparse._ArgumentGroup, control: Control) -> None:
    group.add_argument(
        control.option,
        dest=f"control_{control.name}",
        type=_reader(control),
        metavar=control.kind.upper() if control.kind != "coded" else "VALUE",
        help=control.help.replace("%", "%%"),
    )


def _reader(control: Control) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            if control.name == "emotion" and Path(text).is_file():
                from mytalk.expression import expression_of

                return expression_of(Path(text))
            return control.read(text)
        except MyTalkError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read
