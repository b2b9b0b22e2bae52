"""Options of a session: checked on entry, documented in the protocol's page, and followed by the engine."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mytalk.controls.values import CONTROL
from streamer.errors import RequestError
from streamer.session.control_fields import FIXTURE, PAGE_MODULE, page_module, table
from streamer.session.options import SessionOptions
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, ask, reason, request
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import published

PAGE = Path(__file__).parents[3] / "streamer" / "docs" / "PROTOCOL.md"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "over"),
        ("[1]", "not a JSON object"),
        ('{"sources": "live"}', "unknown field 'sources'"),
        ('{"source": "cat"}', "live, portrait"),
        ('{"profile": 7}', "low, balanced, quality"),
        ('{"seed": "x"}', "whole number"),
        ('{"seed": true}', "whole number"),
        ('{"seed": -1}', "0 to"),
        ('{"mouth_opening": 9}', "0 to 3"),
        ('{"on_silence": "freeze"}', "close, passthrough"),
        ('{"video_delay": 60000}', "0 to 10000"),
        ('{"video_delay": 0.5}', "whole number"),
        ('{"video_delay": 500, "source": "portrait"}', "source live"),
        ('{"face": "left"}', "two shares"),
        ('{"face": [0.5, 1.5]}', "two shares"),
        ('{"face": [true, 0]}', "two shares"),
        ('{"mouth_opening": NaN}', "0 to 3"),
        ('{"steps": 0}', "1 to 50"),
        ('{"source": ["live"]}', "live, portrait"),
    ],
)
async def test_a_malformed_session_is_refused_with_a_reason(client: Client, body: str, words: str) -> None:
    status, answer, _ = await request(
        client, "POST", "/v1/sessions", data=body, headers={"Content-Type": "application/json"}
    )
    assert status in (400, 413)
    assert words in reason(answer)


async def test_what_a_session_asks_for_reaches_the_engine(client: Client, models: FakeModels) -> None:
    asked = {
        "seed": 7,
        "steps": 3,
        "profile": "low",
        "mouth_opening": 0.5,
        "face": [0.25, 0.5],
        "on_silence": "passthrough",
    }
    async with published(client, **asked):
        await eventually(lambda: bool(models.streams))
        [stream] = models.streams
        assert {name: getattr(stream.options, name) for name in asked} == asked | {"face": (0.25, 0.5)}


async def test_the_largest_seed_is_taken_and_one_more_is_not(client: Client) -> None:
    assert (await ask(client, "POST", "/v1/sessions", None, json={"seed": 2**32 - 1})).status == 201
    assert (await ask(client, "POST", "/v1/sessions", None, json={"seed": 2**32})).status == 400


def test_the_protocols_page_names_every_field_and_its_default() -> None:
    section = PAGE.read_text().partition("## What a session may be asked for")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section, re.MULTILINE))
    assert documented == {field.name: as_json(field.name, field.default) for field in fields(SessionOptions)}


def test_clients_and_the_page_have_the_table_as_it_is() -> None:
    """Both are written by ``python -m streamer.session.control_fields``."""
    assert json.loads(FIXTURE.read_text()) == table()
    assert PAGE_MODULE.read_text() == page_module()


async def test_anybody_may_read_the_table_of_controls(client: Client) -> None:
    status, answer, _ = await request(client, "GET", "/v1/controls")
    assert status == 200
    assert answer == {"controls": table()}


def as_json(name: str, value: object) -> str:
    control = CONTROL.get(name)
    if control is not None and control.encode is not None:
        return control.encode(value)
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value).strip('"')


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda c: (
            st.lists(c)
            | st.dictionaries(st.sampled_from(["seed", "steps", "source", "profile", "mouth_opening", "x"]), c)
        ),
    )
)
def test_no_json_trips_the_options_reader(body: object) -> None:
    with suppress(RequestError):
        SessionOptions.from_json(body)
