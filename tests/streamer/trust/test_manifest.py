"""A film says by a signature what it was made of, and a byte that was changed shows."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import msgspec
import pytest

from mytalk.errors import InputError, OptionError, OutputError
from mytalk.media.video import VideoReader
from streamer.cli import main
from streamer.trust.credential import OWN_NAME, Credential, own_credential, read_credential
from streamer.trust.film_payload import film_payload
from streamer.trust.manifest import MadeFilm, ManifestSigner, sidecar_of
from streamer.trust.verification import verify, words
from tests.streamer.trust.films import noise_film

MADE = MadeFilm(preset="edge", seed=7, steps=1, spans=[(0.5, 1.0)], watermark="film 0123456789")


@pytest.fixture(scope="module")
def credential(tmp_path_factory: pytest.TempPathFactory) -> Credential:
    return own_credential(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def signer(credential: Credential) -> ManifestSigner:
    return ManifestSigner(credential)


def changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_signed_film_says_what_made_it(tmp_path: Path, signer: ManifestSigner, suffix: str) -> None:
    path = noise_film(tmp_path / f"a{suffix}")
    assert signer.sign(path, MADE) is None
    report = verify(path)
    assert report.manifest.state == "valid"
    assert report.manifest.issuer == OWN_NAME
    assert report.manifest.says == {"preset": "edge", "seed": 7, "steps": 1, "watermark": "film 0123456789"}
    assert report.marked
    assert report.exit_code == 0
    assert "unverified issuer" in words(report)
    assert len(list(VideoReader(path).frames())) == 25
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_a_container_without_room_has_its_manifest_beside_it(
    tmp_path: Path, signer: ManifestSigner, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    shutil.copy(noise_film(tmp_path / "made.mkv"), path)
    beside = signer.sign(path, MADE)
    assert beside == sidecar_of(path)
    assert verify(path).manifest.state == "valid"
    assert verify(path).manifest.beside
    changed(path)
    assert verify(path).manifest.state == "invalid"


def test_a_byte_that_was_changed_breaks_the_manifest(tmp_path: Path, signer: ManifestSigner) -> None:
    path = noise_film(tmp_path / "a.mp4")
    signer.sign(path, MADE)
    changed(path)
    report = verify(path)
    assert report.manifest.state == "invalid"
    assert report.exit_code == 3
    assert "BROKEN" in words(report)


def test_a_source_is_named_with_the_manifest_that_it_has(tmp_path: Path, signer: ManifestSigner) -> None:
    import c2pa

    source, path = noise_film(tmp_path / "source.mp4"), noise_film(tmp_path / "a.mp4")
    signer.sign(source, MADE)
    signer.sign(path, MadeFilm(preset="edge", seed=1, picture=source))
    with path.open("rb") as file, c2pa.Reader("video/mp4", file) as reader:
        store = json.loads(reader.json())
    [ingredient] = store["manifests"][store["active_manifest"]]["ingredients"]
    assert ingredient["title"] == "source.mp4"
    assert ingredient["relationship"] == "parentOf"
    assert ingredient["active_manifest"] in store["manifests"]


def test_an_issuer_of_the_trust_list_is_trusted(tmp_path: Path, credential: Credential) -> None:
    path = noise_film(tmp_path / "a.mp4")
    ManifestSigner(credential).sign(path, MADE)
    root = b"-----BEGIN" + credential.certificates.split(b"-----BEGIN")[2]
    assert verify(path, anchors=root.decode()).manifest.state == "trusted"


def test_a_film_without_any_mark_says_so_and_no_more(tmp_path: Path) -> None:
    report = verify(noise_film(tmp_path / "a.mp4"))
    assert (report.marked, report.manifest.state, report.exit_code) == (False, "none", 1)
    assert "does not say that a film is real" in words(report)
    assert "No watermark was looked for" in words(report)


def test_a_film_that_cannot_be_signed_stays_as_it_is(tmp_path: Path, credential: Credential) -> None:
    path = noise_film(tmp_path / "a.mp4")
    before = path.read_bytes()
    broken = ManifestSigner(Credential(credential.certificates, b"no key", "es256", True))
    with pytest.raises(OutputError, match="could not be signed"):
        broken.sign(path, MADE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_of_our_own_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first = own_credential(tmp_path)
    assert own_credential(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "signing.pem").stat().st_mode) == 0o600


def test_an_operator_s_certificate_must_be_that_of_the_key(tmp_path: Path, credential: Credential) -> None:
    certificate, key, other = (tmp_path / name for name in ("cert.pem", "key.pem", "other.pem"))
    certificate.write_bytes(credential.certificates)
    key.write_bytes(credential.key)
    other.write_bytes(own_credential(tmp_path / "other").key)
    assert not read_credential(certificate, key).is_own
    with pytest.raises(OptionError, match="another key's"):
        read_credential(certificate, other)
    with pytest.raises(OptionError, match="as PEM"):
        read_credential(key, key)
    with pytest.raises(OptionError, match="can be read"):
        read_credential(tmp_path / "none.pem", key)


def test_the_command_prints_json_and_exits_by_what_it_found(
    tmp_path: Path, signer: ManifestSigner, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = noise_film(tmp_path / "a.mp4")
    assert main(["verify", str(path)]) == 1
    signer.sign(path, MADE)
    capfdbinary.readouterr()
    assert main(["verify", "--json", str(path)]) == 0
    assert msgspec.json.decode(capfdbinary.readouterr().out)["manifest"]["state"] == "valid"
    changed(path)
    assert main(["verify", str(path)]) == 3
    assert main(["verify", str(tmp_path / "none.mp4")]) == InputError.exit_code


def test_a_film_s_name_is_that_of_what_it_is_made_of(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"a")
    other.write_bytes(b"b")
    name = film_payload([one, other], "edge", 0)
    assert film_payload([one, other], "edge", 0) == name
    assert name not in {film_payload([other, one], "edge", 0), film_payload([one, other], "edge", 1)}
    with pytest.raises(InputError, match="can be read"):
        film_payload([tmp_path / "none"], "edge", 0)
