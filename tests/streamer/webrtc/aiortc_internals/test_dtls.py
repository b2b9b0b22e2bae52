"""Peers with RSA certificates can connect, and those with ECDSA certificates as before."""

from __future__ import annotations

from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from streamer.webrtc.aiortc_internals.dtls import accept_rsa


def suites_of(certificate: RTCCertificate) -> list[str]:
    return SSL.Connection(certificate._create_ssl_context(srtp_profiles=SRTP_PROFILES), None).get_cipher_list()


async def test_suites_of_both_kinds_of_certificates_are_offered() -> None:
    certificate = RTCCertificate.generateCertificate()
    before = suites_of(certificate)
    accept_rsa(RTCDtlsTransport(RTCIceTransport(RTCIceGatherer()), [certificate]))
    after = suites_of(certificate)
    assert not [suite for suite in before if "-RSA-" in suite]
    assert [suite for suite in after if "-RSA-" in suite] == [
        suite.replace("ECDSA", "RSA") for suite in before if "ECDSA" in suite
    ]
    assert after[: len(before)] == before
