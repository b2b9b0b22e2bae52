"""FFmpeg's own WHIP muxer, in a process of its own: ``python ffmpeg_publisher.py URL TOKEN SECONDS [PROFILE]``.

Publishes numbered pictures as H264 and babble as Opus in real time, then ends its stream. FFmpeg built with GnuTLS
makes itself a certificate on the curve P-224, which WebRTC does not allow (RFC 8827, 6.5: P-256): it is given one.
"""

from __future__ import annotations

import datetime
import sys
import time
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.streamer.support.pictures import numbered
from tests.streamer.support.sounds import babble


def write_certificate(folder: Path) -> dict[str, str]:
    """FFmpeg's options for a fresh certificate on P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return {"cert_file": str(folder / "certificate.pem"), "key_file": str(folder / "key.pem")}


def publish(url: str, token: str, seconds: float, profile: str, folder: Path) -> None:
    """Returns when the stream has ended well. Raises what FFmpeg raises."""
    options = {"authorization": token, **write_certificate(folder)}
    with av.open(url, "w", format="whip", options=options) as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt, video.gop_size = 256, 256, "yuv420p", 25
        video.options = {"preset": "superfast", "tune": "zerolatency", "profile": profile}
        audio: Any = container.add_stream("libopus", rate=48_000, layout="stereo")
        speech = np.repeat(babble(seconds + 1), 2)
        began = time.monotonic()
        for index in range(int(25 * seconds)):
            picture = av.VideoFrame.from_ndarray(numbered(index), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(video.encode(picture))
            for half in (2 * index, 2 * index + 1):
                samples = speech[half * 1920 : (half + 1) * 1920]
                frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = 48_000, half * 960, Fraction(1, 48_000)
                container.mux(audio.encode(frame))
            time.sleep(max(0.0, began + (index + 1) / 25 - time.monotonic()))


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        url, token, seconds, *profile = sys.argv[1:]
        publish(url, token, float(seconds), profile[0] if profile else "baseline", Path(scratch))
