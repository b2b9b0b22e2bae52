"""Measures what a live picture costs to encode, and how much of it is left: our encoder and aiortc's.

    python -m benchmarks.live.encoders [--clip VIDEO] [--side 512] [--frames 100]

A talking face at 25 fps and the bitrate that a session starts with; without ``--clip`` the embedded portrait, its mouth
moved by the engine. Time is of one thread of an idle machine, and so is the ratio of two lines; PSNR is of all planes
against what was encoded, the first ten pictures left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from aiortc.codecs import depayload
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

import mytalk
from mytalk.media import SpeechReader, open_face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture, VideoFrame
from streamer.webrtc.bitrate import START_BITRATE
from streamer.webrtc.video_encoder import ENCODERS

ASSETS = Path(mytalk.__file__).parent / "assets"
SKIPPED = 10

Encode = Callable[[int, av.VideoFrame], list[bytes]]
"""Maps a picture's number and the picture to RTP payloads."""


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


def ours(codec: str) -> Encode:
    """Makes the encoder that a session's audience shares."""
    encoder = ENCODERS[codec]()
    encoder.bitrate = START_BITRATE

    def encode(index: int, picture: av.VideoFrame) -> list[bytes]:
        frame = VideoFrame(Picture.from_av(picture), index * FRAME_SAMPLES, picture.pts, picture.time_base)
        encoded = encoder.encode(frame, ntp=0)
        return list(encoded.payloads) if encoded is not None else []

    return encode


def aiortcs(encoder: H264Encoder | Vp8Encoder) -> Encode:
    """Makes an encoder of aiortc with its own settings, at the same bitrate."""
    encoder.target_bitrate = START_BITRATE
    return lambda _, picture: encoder.encode(picture)[0]


def measured(encode: Encode, codec: str, sent: list[av.VideoFrame]) -> str:
    """Encodes all of them and decodes what comes."""
    decoder, parameters = av.CodecContext.create(codec, "r"), RTCRtpCodecParameters(f"video/{codec.upper()}", 90_000)
    seconds, size, likeness = 0.0, 0, []
    for index, picture in enumerate(sent):
        before = time.process_time()
        payloads = encode(index, picture)
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
    for codec, usual in (("h264", H264Encoder()), ("vp8", Vp8Encoder())):
        print(f"{codec:5} ours      {measured(ours(codec), codec, sent)}")
        print(f"{codec:5} aiortc's  {measured(aiortcs(usual), codec, sent)}")


if __name__ == "__main__":
    main()
