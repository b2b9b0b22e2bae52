"""Defines the options that say how films are signed, and reads them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mytalk.errors import OptionError

if TYPE_CHECKING:
    from mytalk.dub import DubReport
    from mytalk.media.span import Span
    from mytalk.stream_options import StreamOptions
    from streamer.trust.manifest import MadeFilm, ManifestSigner


def add_signing_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--no-manifest``, ``--signing-certificate``, ``--signing-key`` and ``--timestamp-url``."""
    parser.add_argument(
        "--no-manifest", dest="manifest", action="store_false", help="leave films without a signed C2PA manifest"
    )
    parser.add_argument(
        "--signing-certificate",
        type=Path,
        metavar="PEM",
        help="certificates of who signs manifests, up to the root (default: one of our own, which nobody vouches for)",
    )
    parser.add_argument("--signing-key", type=Path, metavar="PEM", help="the private key of the certificate")
    parser.add_argument(
        "--consent",
        nargs=3,
        metavar=("WHO", "WHEN", "PURPOSE"),
        help="consent of the person shown; its hash stands in the manifest",
    )
    parser.add_argument("--consent-until", metavar="DATE", help="last day of the consent (default: it does not end)")
    parser.add_argument(
        "--consents",
        type=Path,
        metavar="FILE",
        help="register that keeps the consent, and refuses revoked ones",
    )
    parser.add_argument("--require-consent", action="store_true", help="refuse films without consent")
    parser.add_argument(
        "--timestamp-url", metavar="URL", help="authority that states the time of signing (RFC 3161; default: none)"
    )


def manifest_of(
    args: argparse.Namespace, options: StreamOptions, picture: Path, speeches: Sequence[Path], only: Sequence[Span]
) -> MadeFilm:
    """Returns what the manifest of a film that is to be made says. Raises ``InputError`` where consent is missing."""
    from streamer.trust.manifest import MadeFilm

    return MadeFilm(
        preset=args.preset,
        seed=options.seed,
        picture=picture,
        speeches=speeches,
        spans=[(float(part.start), None if part.end is None else float(part.end)) for part in only],
        watermark=None if options.watermark is None else str(options.watermark),
        consent=_consent_of(args, picture),
    )


def signer_of(args: argparse.Namespace) -> ManifestSigner | None:
    """Returns what films are signed by; None where they get no manifest. Raises OptionError."""
    from streamer.trust.credential import own_credential, read_credential
    from streamer.trust.manifest import ManifestSigner

    certificate, key = args.signing_certificate, args.signing_key
    if not args.manifest:
        return None
    if (certificate is None) != (key is None):
        raise OptionError("--signing-certificate and --signing-key belong together (need both, or neither)")
    credential = own_credential() if certificate is None else read_credential(certificate, key)
    return ManifestSigner(credential, args.timestamp_url)


def signed(report: DubReport, made: MadeFilm, signer: ManifestSigner | None) -> DubReport:
    """Signs a film that was made, where there is someone who signs; returns its report, with a warning where the
    manifest lies beside it. Raises OutputError."""
    if signer is None:
        return report
    beside = signer.sign(report.path, replace(made, preset=report.preset, steps=report.steps))
    if beside is None:
        return report
    note = f"{report.path}: its container carries no manifest; {beside} is it (keep both together)"
    return replace(report, warnings=[*report.warnings, note])


def _consent_of(args: argparse.Namespace, picture: Path) -> str | None:
    """Checks and registers the consent of a film's person; returns its hash. Raises ``InputError``."""
    from streamer.trust.consent import Consent, ConsentRegister, check_consent, hash_of

    if args.consent is None and args.consents is None and not args.require_consent:
        return None
    consent = None
    if args.consent is not None:
        given = dict(zip(("who", "when", "purpose"), args.consent, strict=True))
        consent = Consent.from_json(given | ({} if args.consent_until is None else {"until": args.consent_until}))
    check_consent(consent, required=args.require_consent)
    shown = hash_of(picture)
    if args.consents is not None:
        return ConsentRegister(args.consents).use(shown, consent)
    return None if consent is None else consent.hash_with(shown)
