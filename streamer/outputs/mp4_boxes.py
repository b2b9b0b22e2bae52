"""Builds fragmented MP4 byte by byte (ISO/IEC 14496-12, -14, -15): an H264 and an AAC track, one sample a fragment.

Written by hand because FFmpeg's muxer holds every fragment back until the next sample, and moves the first one.
"""

from __future__ import annotations

import struct

from streamer.media.audio import OUTPUT_RATE
from streamer.webrtc.encoded import VIDEO_RATE

VIDEO, AUDIO = 1, 2
"""Track numbers."""

_MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_SYNC, _OTHER = 0x02000000, 0x01010000  # sample flags: depends on nothing; depends on others, and is no sync sample


def nal_units(data: bytes) -> list[bytes]:
    """Splits an access unit in Annex B (ITU-T H.264, annex B) into its NAL units, without start codes."""
    return [unit for part in data.split(b"\0\0\1") if (unit := part.rstrip(b"\0"))]


def sample(units: list[bytes]) -> bytes:
    """Joins units as MP4 keeps them: each after its length, without parameter sets and delimiters."""
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in units if unit[0] & 31 not in (7, 8, 9))


def initialization(width: int, height: int, sps: bytes, pps: bytes, audio_config: bytes) -> bytes:
    """Makes ``ftyp`` and ``moov``. ``audio_config``: the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)."""
    brands = b"iso6" + bytes(4) + b"iso6mp41avc1"
    rates = struct.pack(">8xIIIH10x", 1000, 0, 0x10000, 0x100)  # time scale, duration, speed, volume
    header = _full(b"mvhd", 0, rates, _MATRIX, bytes(24), struct.pack(">I", AUDIO + 1))
    video = _track(VIDEO, width, height, b"vide", _full(b"vmhd", 1, bytes(8)), _avc1(width, height, sps, pps))
    audio = _track(AUDIO, 0, 0, b"soun", _full(b"smhd", 0, bytes(4)), _mp4a(audio_config))
    extends = [_full(b"trex", 0, struct.pack(">5I", track, 1, 0, 0, 0)) for track in (VIDEO, AUDIO)]
    return _box(b"ftyp", brands) + _box(b"moov", header, video, audio, _box(b"mvex", *extends))


def fragment(number: int, track: int, at: int, duration: int, data: bytes, *, key: bool) -> bytes:
    """Makes ``moof`` and ``mdat`` of one sample; ``at`` and ``duration`` in the track's units. Numbers count from 1."""

    def movie(offset: int) -> bytes:
        header = _full(b"tfhd", 0x020000, struct.pack(">I", track))  # default-base-is-moof
        time = _full(b"tfdt", 0x01000000, struct.pack(">Q", at))  # version 1
        flags = 0x000701  # data offset; duration, size and flags of the sample
        run = struct.pack(">Ii3I", 1, offset, duration, len(data), _SYNC if key else _OTHER)
        numbered = _full(b"mfhd", 0, struct.pack(">I", number))
        return _box(b"moof", numbered, _box(b"traf", header, time, _full(b"trun", flags, run)))

    return movie(len(movie(0)) + 8) + _box(b"mdat", data)


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def _full(kind: bytes, version_and_flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version_and_flags), *parts)


def _track(number: int, width: int, height: int, handler: bytes, media_header: bytes, entry: bytes) -> bytes:
    volume, rate = (0x100, OUTPUT_RATE) if handler == b"soun" else (0, VIDEO_RATE)
    header = _full(
        b"tkhd",
        3,  # enabled, in movie
        struct.pack(">IIIII8xHHHH", 0, 0, number, 0, 0, 0, 0, volume, 0),
        _MATRIX,
        struct.pack(">II", width << 16, height << 16),
    )
    media = _full(b"mdhd", 0, struct.pack(">IIIIHH", 0, 0, rate, 0, 0x55C4, 0))  # language: und
    handled = _full(b"hdlr", 0, bytes(4), handler, bytes(12), b"MyTalk\0")
    source = _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1), _full(b"url ", 1)))
    empty = [_full(kind, 0, bytes(4)) for kind in (b"stts", b"stsc", b"stco")]
    table = _box(b"stbl", _full(b"stsd", 0, struct.pack(">I", 1), entry), *empty, _full(b"stsz", 0, bytes(8)))
    return _box(b"trak", header, _box(b"mdia", media, handled, _box(b"minf", media_header, source, table)))


def _avc1(width: int, height: int, sps: bytes, pps: bytes) -> bytes:
    """ISO/IEC 14496-15, 5.4.2; the configuration is 5.3.3.1."""
    sets = struct.pack(">BH", 0xE1, len(sps)) + sps + struct.pack(">BH", 1, len(pps)) + pps
    configuration = _box(b"avcC", bytes([1, sps[1], sps[2], sps[3], 0xFF]), sets)
    head = struct.pack(">6xH16xHHII4xH", 1, width, height, 0x480000, 0x480000, 1)
    return _box(b"avc1", head, bytes(32), struct.pack(">Hh", 24, -1), configuration)


def _mp4a(config: bytes) -> bytes:
    """ISO/IEC 14496-14, 5.6; the descriptors are 14496-1, 7.2.6."""
    decoder = bytes([0x40, 0x15]) + bytes(11) + _descriptor(5, config)
    stream = struct.pack(">HB", AUDIO, 0) + _descriptor(4, decoder) + _descriptor(6, b"\2")
    head = struct.pack(">6xH8xHH4xI", 1, 2, 16, OUTPUT_RATE << 16)
    return _box(b"mp4a", head, _full(b"esds", 0, _descriptor(3, stream)))


def _descriptor(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([tag, len(content)]) + content
