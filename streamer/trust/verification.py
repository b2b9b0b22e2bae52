"""Says of a film whether its manifest holds and whether its pixels are marked, and what neither can say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import msgspec

from mytalk.errors import InputError
from mytalk.marking import Reading, read_watermark
from mytalk.marking.detector import FALSE_ALARM
from mytalk.media.video import VideoReader
from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import VideoFrame
from streamer.trust.manifest import LABEL, SYNTHETIC, sidecar_of

State = Literal["trusted", "valid", "invalid", "none"]
_SYNTHETIC = frozenset(
    {SYNTHETIC, SYNTHETIC.replace("compositeWithT", "t"), SYNTHETIC.replace("WithTrainedAlgorithmicMedia", "Synthetic")}
)
_HEAD = 12  # bytes that tell a container
_UNTRUSTED = "signingCredential.untrusted"

NOT_MARKED = (
    "That no mark was found does not say that a film is real: marks can be removed, and other programs set others."
)
OLD_WORDS = "A mark says what a film was made with, not that what it shows or says is true."
UNTRUSTED = "Nobody vouches for the name of the issuer: anyone can sign by any name."


class ManifestFinding(msgspec.Struct, frozen=True):
    """``state``: ``trusted`` (whole, by an issuer of the trust list), ``valid`` (whole, by one that nobody vouches
    for), ``invalid`` (changed since, or damaged), ``none``. ``synthetic``: an action in it says that a model made a
    part. ``reasons``: C2PA's codes of what is wrong."""

    state: State
    synthetic: bool = False
    beside: bool = False  # in a file of its own
    issuer: str | None = None
    made_with: str | None = None
    signed_at: str | None = None
    reasons: list[str] = []
    says: dict[str, Any] = {}


class WatermarkFinding(msgspec.Struct, frozen=True):
    """``payloads``: what was read, each once; ``places``: from and to, in seconds, with their payload and agreement.
    ``false_alarm``: probability of a reading in one window of unmarked video."""

    payloads: list[str]
    places: list[tuple[float, float, str, float]]
    windows: int  # that showed a face and were read
    false_alarm: float = FALSE_ALARM


class Report(msgspec.Struct, frozen=True):
    """Holds what verification found. ``marked``: by a manifest that holds, or by a watermark."""

    name: str
    marked: bool
    manifest: ManifestFinding
    watermark: WatermarkFinding
    cannot_say: list[str]

    @property
    def exit_code(self) -> int:
        """Returns 0 for a film that is marked, 1 for one that is not, 3 for one whose manifest is broken."""
        if self.manifest.state == "invalid":
            return 3
        return 0 if self.marked else 1


def verify(film: Path, *, seconds: float | None = None, anchors: str | None = None, name: str | None = None) -> Report:
    """Verifies a film, its first ``seconds`` where they are given. ``anchors``: PEM of issuers to be trusted.

    Raises InputError for a file that is no film."""
    manifest = _read_manifest(film, anchors)
    readings = list(read_watermark(_frames(film, seconds)))
    found = [reading for reading in readings if reading.payload is not None]
    payloads = list(dict.fromkeys(str(reading.payload) for reading in found))
    watermark = WatermarkFinding(payloads, [_place(one) for one in found], len(readings))
    marked = bool(payloads) or (manifest.state in ("trusted", "valid") and manifest.synthetic)
    return Report(name or film.name, marked, manifest, watermark, _doubts(manifest, watermark, marked))


def words(report: Report) -> str:
    """Returns the report in sentences, one a line."""
    manifest, watermark = report.manifest, report.watermark
    by = f"made with {manifest.made_with}, signed by {manifest.issuer}"
    what = {
        "trusted": f"manifest: whole; {by}, which the trust list names",
        "valid": f"manifest: whole; {by} (unverified issuer)",
        "invalid": f"manifest: BROKEN: the film or the manifest was changed ({', '.join(manifest.reasons)})",
        "none": "manifest: none",
    }[manifest.state]
    lines = [f"{report.name}: {'marked as synthetic' if report.marked else 'no mark found'}", what]
    if manifest.says:
        lines.append("manifest says: " + ", ".join(f"{key} {value}" for key, value in manifest.says.items()))
    if watermark.places:
        lines += [
            f"watermark: {payload}, {first:.1f} to {last:.1f} s (agreement {agreement:.2f})"
            for first, last, payload, agreement in watermark.places
        ]
    else:
        lines.append(f"watermark: none in {watermark.windows} windows that show a face")
    return "\n".join([*lines, *(f"note: {doubt}" for doubt in report.cannot_say)])


def _frames(film: Path, seconds: float | None) -> Iterator[VideoFrame]:
    for frame in VideoReader(film).frames():
        if seconds is not None and frame.at >= seconds * SAMPLE_RATE:
            return
        yield frame


def _place(reading: Reading) -> tuple[float, float, str, float]:
    return round(reading.first, 2), round(reading.last, 2), str(reading.payload), round(reading.agreement, 3)


def _read_manifest(film: Path, anchors: str | None) -> ManifestFinding:
    """Reads and checks the manifest in a film or beside it. Fetches nothing from a network."""
    import c2pa

    sidecar = sidecar_of(film)
    try:
        beside = sidecar.read_bytes() if sidecar.is_file() else None
        with ExitStack() as opened:
            file = opened.enter_context(film.open("rb"))
            kind = "application/octet-stream" if beside is not None else _kind(file.read(_HEAD))
            if kind is None:
                return ManifestFinding("none")
            file.seek(0)
            context = opened.enter_context(c2pa.Context.from_dict(_settings(anchors)))
            reader = opened.enter_context(c2pa.Reader(kind, file, beside, context))
            return _finding(json.loads(reader.json()), reader.get_validation_state(), beside is not None)
    except OSError as error:
        raise InputError(f"{film}: {error.strerror} (need a file that can be read)") from error
    except c2pa.C2paError.ManifestNotFound:
        return ManifestFinding("none")
    except c2pa.C2paError as error:
        return ManifestFinding("invalid", beside=beside is not None, reasons=[str(error)])


def _kind(head: bytes) -> str | None:
    """Returns the media type of a container that may carry a manifest, by its first bytes."""
    if head[4:8] == b"ftyp":
        return "video/mp4"
    return "video/avi" if head[:4] == b"RIFF" and head[8:12] == b"AVI " else None


def _settings(anchors: str | None) -> dict[str, Any]:
    trust = {} if anchors is None else {"trust": {"trust_anchors": anchors}}
    return {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}} | trust


def _finding(store: dict[str, Any], state: str | None, beside: bool) -> ManifestFinding:
    active = store["manifests"][store["active_manifest"]]
    signed = active.get("signature_info", {})
    codes = [one["code"] for one in store.get("validation_status", []) if one["code"] != _UNTRUSTED]
    said: dict[str, Any] = next((one["data"] for one in active["assertions"] if one["label"] == LABEL), {})
    actions = [
        action
        for one in active["assertions"]
        if one["label"].startswith("c2pa.actions")
        for action in one["data"]["actions"]
    ]
    tools = active.get("claim_generator_info", [{}])
    return ManifestFinding(
        state={"Trusted": "trusted", "Valid": "valid"}.get(state or "", "invalid"),  # type: ignore[arg-type]
        synthetic=any(action.get("digitalSourceType") in _SYNTHETIC for action in actions),
        beside=beside,
        issuer=signed.get("issuer"),
        made_with=" ".join(str(tools[0].get(key, "")) for key in ("name", "version")).strip() or None,
        signed_at=signed.get("time"),
        reasons=list(dict.fromkeys(codes)),
        says=said,
    )


def _doubts(manifest: ManifestFinding, watermark: WatermarkFinding, marked: bool) -> list[str]:
    doubts = [OLD_WORDS] if marked else [NOT_MARKED]
    if manifest.state == "valid":
        doubts.append(UNTRUSTED)
    said = manifest.says.get("watermark")
    if said is not None and watermark.payloads and said not in watermark.payloads:
        doubts.append(f"The manifest names the watermark {said}, which is not the one that was found.")
    if said is not None and not watermark.payloads:
        doubts.append(f"The manifest names the watermark {said}, which was not found.")
    if watermark.windows == 0:
        doubts.append("No watermark was looked for: no two seconds show a face long enough.")
    return doubts
