"""Holds what manifests are signed with: an operator's key and certificates, or a pair of our own that nobody vouches
for."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mytalk.errors import OptionError

OWN_NAME = "MyTalk streamer (self-signed)"
_OWN_YEARS = 10
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, slots=True)
class Credential:
    """Holds a private key and the certificates of it, as PEM. ``is_own``: made here, and nobody vouches for it."""

    certificates: bytes
    key: bytes
    algorithm: str  # of C2PA
    is_own: bool


def read_credential(certificates: Path, key: Path) -> Credential:
    """Reads an operator's certificates (the signer's first, then those up to the root) and key. Raises OptionError."""
    try:
        chain, secret = certificates.read_bytes(), key.read_bytes()
    except OSError as error:
        raise OptionError(f"{error.filename}: {error.strerror} (need PEM files that can be read)") from error
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        private = serialization.load_pem_private_key(secret, None)
    except (ValueError, TypeError) as error:
        raise OptionError(
            f"{certificates}, {key}: {error} (need a certificate and its key as PEM, unlocked)"
        ) from error
    if leaf.public_key() != private.public_key():
        raise OptionError(f"{certificates}: the certificate is another key's (need that of {key})")
    return Credential(chain, secret, _algorithm(private, key), is_own=False)


def own_credential(folder: Path | None = None) -> Credential:
    """Returns the pair of this user, made on first use. ``folder``: where it lies; None: ``~/.config/mytalk``.

    Where the folder cannot be written, the pair is good for this run alone."""
    pem = _make_pem()
    try:
        path = (folder or _folder()) / "signing.pem"
        with suppress(FileNotFoundError):
            return _from_pem(path.read_bytes())
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent) as file:  # readable by its owner alone
            file.write(pem)
            file.flush()
            with suppress(FileExistsError):  # another process was first
                os.link(file.name, path)
        return _from_pem(path.read_bytes())
    except (OSError, RuntimeError):  # RuntimeError: the user has no home
        return _from_pem(pem)


def _folder() -> Path:
    configured = os.environ.get("XDG_CONFIG_HOME")
    return (Path(configured) if configured else Path.home() / ".config") / "mytalk"


def _from_pem(pem: bytes) -> Credential:
    """Splits a file of a key and its certificates."""
    key, _, chain = pem.partition(b"-----BEGIN CERTIFICATE-----")
    return Credential(b"-----BEGIN CERTIFICATE-----" + chain, key, "es256", is_own=True)


def _make_pem() -> bytes:
    """Makes a key with a certificate, and an authority that has signed it: C2PA takes no leaf that signed itself."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, name = _name("authority"), _name("signer")
    root = _builder(root_name, root_name, root_key.public_key())
    root = root.add_extension(x509.BasicConstraints(True, 0), critical=True)
    root = root.add_extension(_usage(signs_certificates=True), critical=True)
    leaf = _builder(name, root_name, key.public_key())
    leaf = leaf.add_extension(x509.BasicConstraints(False, None), critical=True)
    leaf = leaf.add_extension(_usage(signs_certificates=False), critical=True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = leaf.add_extension(issuer, critical=False)
    chain = [one.sign(root_key, hashes.SHA256()) for one in (leaf, root)]
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)


def _name(role: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, OWN_NAME), x509.NameAttribute(NameOID.COMMON_NAME, role)]
    )


def _builder(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(subject_name=name, issuer_name=issuer, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=365 * _OWN_YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _algorithm(key: PrivateKeyTypes, path: Path) -> str:
    """Returns C2PA's name of what this kind of key signs by (C2PA 2.2, 13.2.1)."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise OptionError(
        f"{path}: C2PA signs with no key of this kind (need P-256, P-384, P-521, Ed25519, or RSA of 2048)"
    )
