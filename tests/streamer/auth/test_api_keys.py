"""API keys at rest, session tokens, and how much either may be used."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytalk.errors import OptionError
from streamer import cli
from streamer.auth.api_keys import KeyRing, make_key, read_keys, write_keys
from streamer.auth.quota import MOST_CALLERS, RequestBudget, SecondsUsed
from streamer.auth.tokens import TokenMint
from streamer.clock import SECOND_NS, FakeClock
from streamer.errors import ExpiredError, ForbiddenError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def run(*arguments: str) -> int:
    return cli.main(["keys", *arguments])


def test_a_key_is_shown_once_and_only_its_hash_is_kept(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("add", str(path), "--name", "studio", "--scope", "publish", "--scope", "view", "--sessions", "4") == 0
    text = capsys.readouterr().out.strip()
    key = KeyRing(path).find(text)
    assert key is not None
    assert (key.name, key.scopes, key.sessions, key.requests) == ("studio", ("publish", "view"), 4, 0)
    secret = text.split("_", 2)[2]
    assert len(secret) == 43
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run("list", str(path)) == 0
    listed = capsys.readouterr().out
    assert key.id in listed
    assert secret not in listed


def test_a_revoked_key_is_of_no_use_to_a_server_that_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("add", str(path), "--name", "one")
    run("add", str(path), "--name", "two")
    first, second = capsys.readouterr().out.split()
    ring = KeyRing(path)
    assert ring.find(first) is not None
    assert run("revoke", str(path), first.split("_")[1]) == 0
    assert ring.find(first) is None
    assert ring.find(second) is not None
    assert run("revoke", str(path), first.split("_")[1]) == OptionError.exit_code


def test_a_file_that_is_damaged_later_opens_nothing_and_closes_nothing(path: Path) -> None:
    key, text = make_key("one", ["publish"])
    write_keys(path, [key])
    ring = KeyRing(path)
    path.write_text('{"keys": []')
    assert ring.find(text) == key
    assert ring.find(make_key("two", ["admin"])[1]) is None
    path.unlink()
    assert ring.find(text) == key


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scopes": ["root"]}, r"scopes is \['root'\] \(need one or more of publish, view, admin, metrics\)"),
        ({"scopes": []}, r"scopes is \[\] \(need one or more of"),
        ({"sha256": "abc"}, r"sha256 is 'abc' \(need a SHA-256"),
        ({"id": "../../etc"}, r"id is '../../etc' \(need 8 hexadecimal digits"),
        ({"id": "01234567\n"}, r"need 8 hexadecimal digits"),
        ({"name": "a\nb"}, r"name is 'a\\nb' \(need 1 to 64 letters"),
        ({"sessions": -1}, r"sessions is -1 \(need a whole number of at least 0"),
        ({"seconds": "x"}, r"seconds is 'x' \(need a whole number"),
        ({"colour": "red"}, r"unknown field 'keys\[0\].colour' \(known: id, name, sha256, scopes"),
    ],
)
def test_an_entry_that_makes_no_sense_is_named(path: Path, change: dict[str, object], words: str) -> None:
    key, _ = make_key("one", ["publish"])
    write_keys(path, [key])
    body = json.loads(path.read_text())
    body["keys"][0] |= change
    path.write_text(json.dumps(body))
    with pytest.raises(OptionError, match=words) as refused:
        read_keys(path)
    assert f"{path}: " in str(refused.value)
    assert "keys[0]." in str(refused.value)


def test_a_server_without_any_key_in_its_file_does_not_start(path: Path) -> None:
    with pytest.raises(OptionError, match="mytalk keys add"):
        KeyRing(path)
    write_keys(path, [])
    with pytest.raises(OptionError, match="holds no key"):
        KeyRing(path)


@given(st.text(max_size=80))
def test_no_text_trips_the_key_ring_or_opens_it(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "ring.json"
    if not path.exists():
        write_keys(path, [make_key("one", ["admin"])[0]])
    assert KeyRing(path).find(text) is None


# --- tokens


async def test_a_token_is_for_one_session_one_right_and_a_while() -> None:
    clock = FakeClock()
    mint = TokenMint(clock, life=60)
    token = mint.token("mine", "view")
    assert mint.right(token, "mine") == "view"
    with pytest.raises(ForbiddenError):
        mint.right(token, "another")
    with pytest.raises(ForbiddenError):
        TokenMint(clock, life=60).right(token, "mine")
    await clock.advance(59 * SECOND_NS)
    assert mint.right(token, "mine") == "view"
    await clock.advance(SECOND_NS)
    with pytest.raises(ExpiredError, match="60 s"):
        mint.right(token, "mine")


def test_a_token_cannot_be_made_to_say_more() -> None:
    mint = TokenMint(FakeClock(), life=60)
    claims, _, signature = mint.token("mine", "view").partition(".")
    for forged in (f"o{claims[1:]}.{signature}", f"{claims}f.{signature}", f"{claims}.{signature[::-1]}", claims, ""):
        with pytest.raises(ForbiddenError):
            mint.right(forged, "mine")


@given(st.text(max_size=80), st.text(max_size=30))
def test_no_text_trips_the_mint_or_passes(text: str, session_id: str) -> None:
    with pytest.raises(ForbiddenError):
        TokenMint(FakeClock(), life=60).right(text, session_id)


# --- how much


def test_requests_are_bounded_a_minute_and_callers_do_not_share() -> None:
    budget = RequestBudget()
    waits = [budget.wait("a", 60, now=0) for _ in range(62)]
    assert waits[:60] == [0] * 60
    assert waits[60:] == [1, 1]
    assert budget.wait("b", 60, now=0) == 0
    assert budget.wait("a", 60, now=2 * SECOND_NS) == 0
    assert all(budget.wait("c", 0, now=0) == 0 for _ in range(1000))


def test_a_flood_of_callers_takes_bounded_memory() -> None:
    budget = RequestBudget()
    for number in range(MOST_CALLERS + 100):
        budget.wait(f"caller {number}", 60, now=0)
    assert len(budget._buckets) == MOST_CALLERS


def test_seconds_that_were_kept_count_as_before_and_a_clock_that_went_back_loses_none() -> None:
    used, hour = SecondsUsed(), 3600 * SECOND_NS
    used.add("k", 100, now=100 * hour)
    used.add("k", 10, now=105 * hour)
    used.add("old", 10, now=50 * hour)
    kept = used.hours(now=106 * hour)
    assert kept == {"k": [(100, 100), (105, 10)]}
    again = SecondsUsed(kept)
    again.add("k", 1, now=103 * hour)
    assert [again.used_by("k", now=moment * hour) for moment in (106, 123, 124, 129)] == [111, 111, 11, 0]


def test_seconds_are_forgotten_after_a_day() -> None:
    used, hour = SecondsUsed(), 3600 * SECOND_NS
    used.add("k", 100, now=0)
    used.add("k", 50, now=hour // 2)
    used.add("k", 10, now=5 * hour)
    assert used.used_by("k", now=23 * hour) == 160
    assert used.used_by("k", now=25 * hour) == 10
    assert used.used_by("k", now=40 * hour) == 0
    assert used.used_by("other", now=0) == 0
