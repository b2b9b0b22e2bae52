"""An error of a type check names the place, what was given, and what is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from streamer.errors import MismatchError
from streamer.validation import checked

Hexadecimal = Annotated[str, Meta(pattern="^[0-9a-f]{4}$", description="4 hexadecimal digits")]


class Format(Struct, frozen=True):
    rate: Literal[48000, 8000]
    channels: Annotated[int, Meta(ge=1, le=2)] = 1


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    format: Format | None = None
    name: Annotated[str, Meta(min_length=1, max_length=3)] = "a"
    share: Annotated[float, Meta(ge=0, le=1)] | None = None
    values: Annotated[Mapping[str, int | str], Meta(max_length=2)] | None = None
    listed: list[Format] = []
    digits: Hexadecimal = "0000"
    point: Annotated[Literal["none"] | tuple[float, float], Meta(description="'none' or a point")] = "none"
    flag: bool = False
    noted: Annotated[Literal["x", "y"], "a note"] = "x"
    data: Annotated[bytes, Meta(min_length=1)] = b"a"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([1], "the body is [1] (need an object)"),
        (
            {"nme": "a"},
            "unknown field 'nme' (known: format, name, share, values, listed, digits, point, flag",
        ),
        ({"format": {}}, "format.rate is missing (known: rate, channels)"),
        ({"format": 5}, "format is 5 (need an object)"),
        ({"format": {"rate": 7}}, "format.rate is 7 (need one of 48000, 8000)"),
        ({"format": {"rate": 8000.0}}, "format.rate is 8000.0 (need one of 48000, 8000)"),
        ({"listed": [{"rate": 8000}, {"rate": 8000, "channels": 3}]}, "listed[1].channels is 3 (need a whole number"),
        ({"name": ""}, "name is '' (need a text of 1 to 3 characters)"),
        ({"share": 1.5}, "share is 1.5 (need a number from 0 to 1)"),
        ({"share": float("nan")}, "share is nan (need a number from 0 to 1)"),
        ({"share": True}, "share is True (need a number from 0 to 1)"),
        ({"values": {"a": 1, "b": [2]}}, "values.b is [2] (need a whole number or a text)"),
        ({"values": {"a": 1, "b": 2, "c": 3}}, "values is an object (need an object of at most 2 fields)"),
        ({"digits": "00FF"}, "digits is '00FF' (need 4 hexadecimal digits)"),
        ({"point": [1, "x"]}, "point is [1, 'x'] (need 'none' or a point)"),
        ({"flag": list(range(99))}, "flag is a list of 99 (need true or false)"),
        ({"noted": "z"}, "noted is 'z' (need one of x, y)"),
        ({"flag": 1}, "flag is 1 (need true or false)"),
        ({"data": "@"}, "data is '@' (need base64 of at least one byte)"),
    ],
)
def test_a_mismatch_is_named_with_its_place_and_what_is_needed(body: Any, words: str) -> None:
    with pytest.raises(MismatchError) as refused:
        checked(body, Body)
    assert words in str(refused.value)


def test_a_place_of_the_whole_stands_before_the_places_in_it() -> None:
    with pytest.raises(MismatchError, match=r"^keys is 1 \("):
        checked(1, Body, "keys")
    with pytest.raises(MismatchError, match=r"^keys\.name is 1 \("):
        checked({"name": 1}, Body, "keys")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*Body.__struct_fields__, "rate"]), inner)
    ),
)


@given(_JSON)
def test_no_json_raises_anything_but_a_mismatch_and_its_text_is_short(body: Any) -> None:
    text = ""
    try:
        checked(body, Body)
    except MismatchError as error:
        text = str(error)
    assert len(text) < 200
