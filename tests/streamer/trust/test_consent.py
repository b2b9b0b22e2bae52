"""Consent is named by a hash, ends on its day, and what was revoked stays so."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from mytalk.errors import InputError, OptionError
from streamer.cli import main
from streamer.errors import ForbiddenError, RequestError
from streamer.trust.consent import Consent, ConsentRegister, check_consent, hash_of

GIVEN = {"who": "Jane Doe", "when": "2026-11-25", "purpose": "a greeting"}
CONSENT = Consent.from_json(GIVEN)
PICTURE = hash_of(b"a picture")


def test_a_consent_holds_on_its_last_day_and_no_longer() -> None:
    ending = Consent.from_json(GIVEN | {"until": "2026-12-01"})
    check_consent(ending, required=True, today=date(2026, 12, 1))
    with pytest.raises(ForbiddenError, match="ended on 2026-12-01"):
        check_consent(ending, required=False, today=date(2026, 12, 2))
    with pytest.raises(ForbiddenError, match="with the person's consent only"):
        check_consent(None, required=True)
    check_consent(None, required=False)


def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(RequestError, match="until needs to be a date"):
        Consent.from_json(GIVEN | {"until": "next year"})


def test_the_hash_is_of_consent_and_picture_both() -> None:
    names = {CONSENT.hash_with(PICTURE), CONSENT.hash_with(hash_of(b"another"))}
    names.add(Consent.from_json(GIVEN | {"purpose": "another"}).hash_with(PICTURE))
    assert len(names) == 3
    assert CONSENT.hash_with(PICTURE) == Consent.from_json(dict(reversed(GIVEN.items()))).hash_with(PICTURE)


def test_the_register_keeps_a_consent_once(tmp_path: Path) -> None:
    register = ConsentRegister(tmp_path / "consents.db")
    assert register.use(PICTURE, CONSENT) == CONSENT.hash_with(PICTURE)
    register.use(PICTURE, CONSENT)
    assert register.use(hash_of(b"no consent"), None) is None
    [row] = register.all()
    assert (row["who"], row["given"], row["purpose"], row["revoked"]) == ("Jane Doe", "2026-11-25", "a greeting", None)


@pytest.mark.parametrize("which", [CONSENT.hash_with(PICTURE), PICTURE, "Jane Doe"])
def test_a_revoked_picture_is_refused_also_after_a_restart(tmp_path: Path, which: str) -> None:
    path = tmp_path / "consents.db"
    ConsentRegister(path).use(PICTURE, CONSENT)
    assert ConsentRegister(path).revoke(which) == 1
    for consent in (CONSENT, None, Consent.from_json(GIVEN | {"when": "2026-11-26"})):
        with pytest.raises(ForbiddenError, match="revoked"):
            ConsentRegister(path).use(PICTURE, consent)
    assert ConsentRegister(path).use(hash_of(b"another"), CONSENT) is not None


def test_a_file_that_is_no_register_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "consents.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(OptionError, match="need an SQLite file"):
        ConsentRegister(path)
    with pytest.raises(OptionError, match="can be read"):
        hash_of(tmp_path / "none")


def test_an_operator_lists_exports_and_revokes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "consents.db"
    assert main(["consents", "list", str(path)]) == InputError.exit_code
    ConsentRegister(path).use(PICTURE, CONSENT)
    capsys.readouterr()
    assert main(["consents", "list", str(path)]) == 0
    assert "Jane Doe: a greeting (holds)" in capsys.readouterr().out
    assert main(["consents", "revoke", str(path), "Jane Doe"]) == 0
    assert main(["consents", "revoke", str(path), "Jane Doe"]) == InputError.exit_code
    capsys.readouterr()
    assert main(["consents", "export", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["revoked"] is not None
