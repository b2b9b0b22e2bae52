"""What a live picture costs to encode, and how much of it is left: ours and what aiortc would do.

    python -m benchmarks.live.encoders [--clip VIDEO] [--side 512] [--frames 100]

A talking face at 25 fps and the bitrate that a session starts with; without ``--clip`` the embedded portrait, its mouth
moved by the engine. Time is of one thread of an idle machine, and so is the ratio of two lines; PSNR is of all planes
against what was encoded, the first ten pictures left out.
"""

from __future__ import annotations

import argparse
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from aiortc.codecs import depayload
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

import mytalk
from mytalk.media import SpeechReader, open_face
from streamer.webrtc.aiortc_internals.encoders import START_BITRATE, FaceH264Encoder, FaceVp8Encoder

ASSETS = Path(mytalk.__file__).parent / "assets"
SKIPPED = 10


def pictures(clip: Path | None, side: int, count: int) -> list[av.VideoFrame]:
    source = open_face(clip or ASSETS / "astronaut.png")
    frames = islice(source.frames(endless=True), count)
    if clip is None:
        speech = np.concatenate(list(SpeechReader(ASSETS / "demo_speech.flac").samples()))
        frames = mytalk.load("edge", "cpu").dub(frames, speech)
    made = []
    for index, frame in enumerate(frames):
        picture = frame.picture.to_av().reformat(side, side, "yuv420p")
        picture.pts, picture.time_base = 3600 * index, Fraction(1, 90_000)
        made.append(picture)
    return made


def measured(encoder: Encoder, codec: str, sent: list[av.VideoFrame]) -> str:
    """Encodes all of them and decodes what comes."""
    encoder.target_bitrate = START_BITRATE
    decoder, parameters = av.CodecContext.create(codec, "r"), RTCRtpCodecParameters(f"video/{codec.upper()}", 90_000)
    seconds, size, likeness = 0.0, 0, []
    for index, picture in enumerate(sent):
        before = time.process_time()
        payloads, _ = encoder.encode(picture)
        seconds += time.process_time() - before
        data = b"".join(depayload(parameters, payload) for payload in payloads)
        size += len(data)
        for got in decoder.decode(av.Packet(data)):
            error = np.square(got.to_ndarray().astype(float) - picture.to_ndarray()).mean()
            if index >= SKIPPED:
                likeness.append(10 * np.log10(255**2 / max(float(error), 1e-9)))
    rate = 8 * size / (len(sent) / 25) / 1e6
    return f"{1e3 * seconds / len(sent):6.1f} ms of CPU, PSNR {np.mean(likeness):5.1f} dB, {rate:.2f} Mbit/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=None)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--frames", type=int, default=100)
    arguments = parser.parse_args()
    sent = pictures(arguments.clip, arguments.side, arguments.frames)
    kinds = [("h264", FaceH264Encoder(), H264Encoder()), ("vp8", FaceVp8Encoder(), Vp8Encoder())]
    for codec, ours, usual in kinds:
        print(f"{codec:5} ours      {measured(ours, codec, sent)}")
        print(f"{codec:5} aiortc's  {measured(usual, codec, sent)}")


if __name__ == "__main__":
    main()
