"""Plans how a film's pictures are coded: codec, pixel format, quality and tags, before any work is done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal, get_args

import av

from mytalk.errors import OptionError
from mytalk.media.stored import PixelFormat, StoredFormat
from mytalk.media.video import Colour, VideoInfo

CodecName = Literal["h264", "hevc", "prores", "vp9", "av1", "ffv1", "copy-like-source"]
CODECS: tuple[str, ...] = get_args(CodecName)

QUALITY = 75
"""Default of one scale for all codecs, 0 to 100: H.264's crf 18, HEVC's 20, VP9's 24, AV1's 26, ProRes 422 HQ."""

_FORMATS = {
    "h264": ("mp4", "mov", "matroska"),
    "hevc": ("mp4", "mov", "matroska"),
    "prores": ("mov", "matroska"),
    "vp9": ("mp4", "matroska", "webm"),
    "av1": ("mp4", "matroska", "webm"),
    "ffv1": ("matroska",),
}
_ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "prores": "prores_ks",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "ffv1": "ffv1",
}
_ENDINGS = {"mp4": ".mp4", "mov": ".mov", "matroska": ".mkv", "webm": ".webm"}
_DEEP = ("hevc", "prores", "vp9", "av1", "ffv1")  # codecs in the order in which they are tried for more than 8 bits
_WITH_ALPHA = ("prores", "vp9", "ffv1")
_PLAIN = PixelFormat("yuv420p", 8, (1, 1), alpha=False, rgb=False, gray=False)
_LIMITED, _BT709 = 1, 1


@dataclass(frozen=True, slots=True)
class Encoding:
    """Holds what the user asked for of a film's pictures. ``codec`` None: H.264 for 8 bits, else what carries them.

    ``quality``: 0 to 100, one scale for all codecs; None: ``QUALITY``. ``alpha``: ``drop`` writes a film without it.
    """

    codec: CodecName | None = None
    quality: int | None = None
    alpha: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        if self.codec is not None and self.codec not in CODECS:
            raise OptionError(f"codec {self.codec!r}: need one of {', '.join(CODECS)}")
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise OptionError(f"quality {self.quality}: need 0 (small) to 100 (best)")


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """Holds what a writer opens its encoder with."""

    codec: str
    encoder: str
    pixels: str
    options: dict[str, str]
    colour: Colour
    stored: bool  # whether stored frames are written, rather than the engine's 8-bit 4:2:0
    tag: str | None = None  # FourCC, where players want another than the default
    warnings: list[str] = field(default_factory=list)


def plan_video(info: VideoInfo, kind: str, encoding: Encoding, name: str, *, transparent: bool = False) -> VideoPlan:
    """Plans for a container of FFmpeg's name ``kind``; ``name`` is what errors call the film.

    ``transparent``: the pictures are the engine's own, and have alpha.

    Raises OptionError where a codec, or the container, cannot carry the film's depth or alpha.
    """
    source = replace(_PLAIN, alpha=True) if transparent else _source_pixels(info.stored, encoding)
    codec = _codec(info, kind, encoding, source, name)
    keeps = encoding.codec is not None or source.bits > 8 or source.alpha
    wanted = source if keeps else _PLAIN
    pixels = _nearest(codec, wanted)
    if pixels is None:
        able = [one for one in _FORMATS if _nearest(one, wanted) is not None]
        others = ", ".join(f"{one} ({' '.join(_ENDINGS[kind] for kind in _FORMATS[one])})" for one in able)
        raise OptionError(f"{name}: {codec} cannot carry {wanted.words} (these can: {others})")
    if kind not in _FORMATS[codec]:
        endings = ", ".join(_ENDINGS[one] for one in _FORMATS[codec])
        raise OptionError(f"{name}: {_ENDINGS[kind]} does not take {codec} (these do: {endings})")
    stored = info.stored is not None and keeps
    plan = VideoPlan(
        codec=codec,
        encoder=_ENCODERS[codec],
        pixels=pixels.name,
        options=_options(codec, encoding.quality, pixels, info.stored if stored else None, name),
        colour=info.colour,
        stored=stored,
        tag="hvc1" if codec == "hevc" and kind in ("mp4", "mov") else None,
        warnings=[f"{name}: {text}" for text in _lost(info.stored, encoding, wanted, codec)],
    )
    if source.rgb and stored and not pixels.rgb:
        return replace(
            plan,
            colour=replace(info.colour, range=_LIMITED, matrix=_BT709),
            warnings=[*plan.warnings, f"{name}: its RGB is written as YCbCr (BT.709; ffv1 keeps RGB)"],
        )
    return plan


def _source_pixels(stored: StoredFormat | None, encoding: Encoding) -> PixelFormat:
    pixels = _PLAIN if stored is None else stored.pixels
    return replace(pixels, alpha=False) if encoding.alpha == "drop" else pixels


def _codec(info: VideoInfo, kind: str, encoding: Encoding, source: PixelFormat, name: str) -> str:
    if encoding.codec == "copy-like-source":
        if info.codec not in _FORMATS:
            named = ", ".join(_FORMATS)
            raise OptionError(f"{name}: is in {info.codec or 'no codec'}, which is not written (--codec: {named})")
        return info.codec
    if encoding.codec is not None:
        return encoding.codec
    if kind == "webm" and not source.alpha:
        return "vp9" if source.bits == 8 else "av1"
    if source.bits == 8 and not source.alpha:
        return "h264"
    order = _WITH_ALPHA if source.alpha else _DEEP
    able = [one for one in order if kind in _FORMATS[one] and _nearest(one, source) is not None]
    if able:
        return able[0]
    endings = {_ENDINGS[one] for codec in order if _nearest(codec, source) is not None for one in _FORMATS[codec]}
    drop = " or drop it with --alpha drop" if source.alpha else ""
    raise OptionError(
        f"{name}: is {source.words}, and {_ENDINGS[kind]} carries no such film "
        f"(write {', '.join(sorted(endings))}{drop})"
    )


@cache
def _nearest(codec: str, source: PixelFormat) -> PixelFormat | None:
    """Returns the format of an encoder that holds all of ``source`` and least beside it; None where none does."""
    formats = av.Codec(_ENCODERS[codec], "w").video_formats or []
    able = [
        pixels for pixels in map(PixelFormat.of, _known(codec, [f.name for f in formats])) if _holds(pixels, source)
    ]
    return min(able, key=lambda pixels: _excess(pixels, source), default=None)


def _known(codec: str, names: list[str]) -> list[str]:
    """Leaves out shared YCbCr planes, floats, twins of other formats, and alpha that HEVC codes in a layer."""
    planes = ("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuva", "gbr", "gray", "bgr0", "bgra")
    known = [name for name in names if name.startswith(planes) and "f32" not in name and "f16" not in name]
    return [name for name in known if codec != "hevc" or "yuva" not in name]


def _holds(pixels: PixelFormat, source: PixelFormat) -> bool:
    deep = pixels.bits >= source.bits and pixels.alpha >= source.alpha
    if source.gray:
        return deep
    fine = pixels.chroma[0] <= source.chroma[0] and pixels.chroma[1] <= source.chroma[1]
    return deep and fine and not pixels.gray and (source.rgb or not pixels.rgb)


def _excess(pixels: PixelFormat, source: PixelFormat) -> tuple[int, ...]:
    other_kind = (pixels.rgb != source.rgb) + (pixels.gray != source.gray)
    finer = sum(source.chroma) - sum(pixels.chroma) if not source.gray else 2 - sum(pixels.chroma)
    return other_kind, pixels.alpha - source.alpha, finer, pixels.bits - source.bits


def _lost(stored: StoredFormat | None, encoding: Encoding, wanted: PixelFormat, codec: str) -> list[str]:
    """Says what of the stored pictures the plan gives up."""
    if stored is None:
        return []
    lost = []
    if encoding.alpha == "drop" and stored.pixels.alpha:
        lost.append("its alpha is left out, as asked")
    if wanted is _PLAIN and not stored.pixels.gray and stored.pixels.chroma != (1, 1):
        lost.append(f"its {stored.pixels.words} is written as 8-bit 4:2:0 (--codec h264 or another keeps it)")
    if stored.mastering is not None and codec not in ("hevc", "h264", "av1"):
        lost.append(f"what it says of its mastering display is not kept in {codec} (hevc keeps it)")
    return lost


def _options(
    codec: str, quality: int | None, pixels: PixelFormat, stored: StoredFormat | None, name: str
) -> dict[str, str]:
    """Returns the encoder's options; raises OptionError for a quality where there is none to choose."""
    if codec == "ffv1":
        if quality is not None:
            raise OptionError(f"{name}: --quality is of no use to ffv1, which loses nothing")
        return {"level": "3", "g": "1", "slicecrc": "1"}
    share = QUALITY if quality is None else quality
    mastering = None if stored is None else stored.mastering
    display = None if mastering is None else mastering.display
    light = None if mastering is None or mastering.light is None else "{},{}".format(*mastering.light)
    if codec == "h264":
        extra = {"mastering-display": display, "cll": light}
        return {"preset": "veryfast", "crf": f"{48 - 0.4 * share:g}", **_params("x264-params", extra)}
    if codec == "hevc":
        extra = {"log-level": "none", "master-display": display, "max-cll": light}
        return {"preset": "veryfast", "crf": f"{50 - 0.4 * share:g}", **_params("x265-params", extra)}
    if codec == "vp9":
        alone = {"auto-alt-ref": "0"} if pixels.alpha else {}  # alpha excludes it
        return {"crf": f"{54 - 0.4 * share:.0f}", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", **alone}
    if codec == "av1":
        extra = {"mastering-display": display and _unit_display(display), "content-light": light}
        return {"preset": "8", "crf": f"{63 - 0.5 * share:.0f}", **_params("svtav1-params", extra)}
    fine = pixels.chroma == (0, 0)  # ProRes 4444, and XQ at the top; else Proxy, LT, 422 and HQ
    profile = 4 + (share >= 90) if fine else min(3, share // 25)
    return {"profile": str(profile), "vendor": "apl0", **({"alpha_bits": "16"} if pixels.alpha else {})}


def _params(name: str, values: dict[str, str | None]) -> dict[str, str]:
    given = [f"{key}={value}" for key, value in values.items() if value is not None]
    return {name: ":".join(given)} if given else {}


def _unit_display(display: str) -> str:
    """Writes a mastering display as SVT-AV1 takes it: chromaticities of 0 to 1, luminances in cd/m2."""
    parts = [part.split("(") for part in display.rstrip(")").split(")")]
    scaled = []
    for name, numbers in parts:
        divisor = 10_000 if name == "L" else 50_000
        first, second = (int(number) / divisor for number in numbers.split(","))
        scaled.append(f"{name}({first:g},{second:g})")
    return "".join(scaled)
