"""Writes a signed C2PA manifest into a film, or beside it: what made it, of what, and what was changed.

Source: C2PA Technical Specification 2.2, https://spec.c2pa.org; the digital source type is IPTC's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal

import mytalk
from mytalk.errors import OutputError
from streamer.trust.credential import Credential

SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for real media of which a trained model made a part."""

LABEL = "org.mytalk.dub"
GENERATOR = "MyTalk streamer"
FORMATS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".avi": "video/avi"}
"""Containers that carry their manifest. All others get a file beside them."""

_INGREDIENT_FORMATS = FORMATS | {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
}
_OTHER = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFilm:
    """Says what a film is made of and how. ``picture`` None: live. ``spans``: seconds that were dubbed;
    none: all of it. ``consent``: SHA-256 of the consent; ``watermark``: what its pixels say."""

    preset: str
    seed: int
    steps: int | None = None
    picture: Path | None = None
    speeches: Sequence[Path] = ()
    spans: Sequence[tuple[float, float | None]] = ()
    watermark: str | None = None
    consent: str | None = None


@dataclass(frozen=True, slots=True)
class ManifestSigner:
    """Signs films. ``timestamp_url``: of an authority that is asked for the time (RFC 3161); None: nobody is."""

    credential: Credential
    timestamp_url: str | None = None

    def sign(self, film: Path, made: MadeFilm) -> Path | None:
        """Adds the manifest to a finished film; returns the file beside it where its container carries none.

        The film is replaced as a whole, or stays as it is. Raises OutputError.
        """
        import c2pa

        kind = FORMATS.get(film.suffix.lower())
        target = film.resolve() if kind is not None else sidecar_of(film)
        try:
            context = c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})
            builder = c2pa.Builder(json.dumps(describe(film.name, made)), context)
            if made.picture is not None:
                _add_ingredient(builder, made.picture, "parentOf", "picture")
            for number, speech in enumerate(made.speeches, 1):
                _add_ingredient(builder, speech, "inputTo", f"speech {number}")
            signer = c2pa.Signer.from_info(self._info())
            with film.open("rb") as given, NamedTemporaryFile(dir=target.parent, delete=False) as part:
                try:
                    if kind is None:
                        builder.set_no_embed()
                        with Path(os.devnull).open("r+b") as nowhere:
                            part.write(builder.sign(signer, _OTHER, given, nowhere))
                    else:
                        builder.sign(signer, kind, given, part)
                    part.close()
                    Path(part.name).chmod(film.stat().st_mode & 0o777)
                    Path(part.name).replace(target)
                except BaseException:
                    Path(part.name).unlink(missing_ok=True)
                    raise
        except (OSError, c2pa.C2paError) as error:
            raise OutputError(f"{film}: it is written, but could not be signed ({error})") from error
        return None if kind is not None else target

    def _info(self) -> Any:
        import c2pa

        one = self.credential
        return c2pa.C2paSignerInfo(one.algorithm, one.certificates, one.key, self.timestamp_url)


def sidecar_of(film: Path) -> Path:
    """Returns where the manifest of a film lies whose container carries none."""
    return film.with_name(f"{film.name}.c2pa")


def describe(title: str, made: MadeFilm) -> dict[str, Any]:
    """Returns the manifest that is to be signed, without its ingredients."""
    agent = {"name": GENERATOR, "version": mytalk.__version__}
    spans = [_temporal(start, end) for start, end in made.spans] or [_temporal(0.0, None)]
    edited = {
        "action": "c2pa.edited",
        "digitalSourceType": SYNTHETIC,
        "softwareAgent": agent,
        "description": "The mouth was made to speak other speech by a trained model.",
        "changes": [{"description": "the lower half of the tracked face", "region": spans}],
    }
    first: dict[str, Any] = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["picture"]}}
    if made.picture is None:
        first = {"action": "c2pa.created", "digitalSourceType": SYNTHETIC, "softwareAgent": agent}
    how = {"preset": made.preset, "seed": made.seed, "steps": made.steps}
    said = how | {"watermark": made.watermark, "consent_sha256": made.consent}
    return {
        "claim_generator_info": [agent],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [first, edited]}},
            {"label": LABEL, "data": {name: value for name, value in said.items() if value is not None}},
        ],
    }


def _temporal(start: float, end: float | None) -> dict[str, Any]:
    time = {"type": "npt", "start": f"{start:g}"} | ({} if end is None else {"end": f"{end:g}"})
    return {"type": "temporal", "time": time}


def _add_ingredient(builder: Any, source: Path, relationship: Literal["parentOf", "inputTo"], role: str) -> None:
    """Adds a source, with its own manifest where it has one."""
    kind = _INGREDIENT_FORMATS.get(source.suffix.lower(), _OTHER)
    about = {"title": source.name, "relationship": relationship, "instance_id": role, "label": role}
    with source.open("rb") as file:
        builder.add_ingredient(json.dumps(about), kind, file)
