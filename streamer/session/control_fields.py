"""Reads controls as clients send them: each as its entry in the table says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from mytalk.controls import TABLE, Control, Controls
from mytalk.errors import OptionError
from streamer.errors import MismatchError
from streamer.protocol.messages import Scalar
from streamer.validation import checked

MAX_SEED = 2**32 - 1
"""Largest seed on the wire: what every client's numbers hold."""

MAX_TEXT = 2000
"""Characters of a coded value."""

_ROOT = Path(__file__).parents[2]
FIXTURE = _ROOT / "clients" / "fixtures" / "controls.json"
"""The table as clients are tested with it: ``python -m streamer.session.control_fields`` writes it."""

PAGE = _ROOT / "streamer" / "page"
PAGE_MODULE = PAGE / "built" / "controls.js"
"""The table as the page has it, written by the same command."""

_MADE = "// Made from the table of controls by `python -m streamer.session.control_fields`.\n"

LIVE: tuple[str, ...] = tuple(sorted(control.name for control in TABLE if control.live))
"""Controls that a client may change while its session runs."""


def wire_type(control: Control) -> Any:
    """Returns the type that a control has in JSON. A coded one is a text; a point may be a list of two numbers."""
    most = min(control.most, MAX_SEED)
    kinds: dict[str, Any] = {
        "number": lambda: Annotated[float, Meta(ge=control.least, le=most)],
        "whole": lambda: Annotated[int, Meta(ge=int(control.least), le=int(most))],
        "choice": lambda: Literal[control.choices],
        "coded": lambda: Annotated[
            Annotated[str, Meta(max_length=MAX_TEXT)] | list[float], Meta(description=control.form)
        ],
    }
    kind = kinds[control.kind]()
    return kind | None if control.default is None else kind


def wire_value(control: Control, value: Any) -> Scalar:
    """Returns a control's value as JSON has it."""
    if value is None or control.encode is None:
        scalar: Scalar = value
        return scalar
    return control.encode(value)


def read_controls(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of controls that came as JSON of the `wire_type`. Raises ``MismatchError``."""
    return {control.name: _read(control, given[control.name]) for control in TABLE if control.name in given}


def check_control(control: Control, value: object) -> Any:
    """Returns the value of one control that came as JSON. Raises ``MismatchError``, which names the range."""
    return _read(control, checked(value, wire_type(control), control.name))


def written_controls(controls: Controls) -> dict[str, Scalar]:
    """Returns the controls that may be changed live, by the names and in the form that the protocol has."""
    now = controls.named()
    return {control.name: wire_value(control, now[control.name]) for control in TABLE if control.live}


def table() -> list[dict[str, Any]]:
    """Returns the table as JSON, for pages and clients that make their sliders from it."""
    return [
        {
            "name": control.name,
            "kind": control.kind,
            "description": control.description,
            "applies_to": control.applies_to,
            "range": control.range,
            "default": wire_value(control, control.default),
            "live": control.live,
            **({"least": control.least, "most": min(control.most, MAX_SEED)} if control.most else {}),
            **({"unit": control.unit} if control.unit else {}),
            **({"choices": list(control.choices)} if control.choices else {}),
            **({"parts": [asdict(part) for part in control.parts]} if control.parts else {}),
        }
        for control in TABLE
    ]


def _read(control: Control, value: Any) -> Any:
    if control.kind != "coded" or not isinstance(value, str | list):  # another is a default
        return value
    try:
        return control.read(",".join(map(str, value)) if isinstance(value, list) else value)
    except OptionError as error:
        raise MismatchError(str(error)) from error


def page_module() -> str:
    """Returns the table as the module that the page makes its sliders from, with the pictures that there are."""
    pictures = {path.stem for path in (PAGE / "controls").iterdir()}
    rows = [row | ({"picture": f"/controls/{row['name']}.jpg"} if row["name"] in pictures else {}) for row in table()]
    return f"{_MADE}export const CONTROLS = {json.dumps(rows, indent=2)};\n"


if __name__ == "__main__":
    FIXTURE.write_text(json.dumps(table(), indent=2) + "\n", "utf-8")
    PAGE_MODULE.write_text(page_module(), "utf-8")
