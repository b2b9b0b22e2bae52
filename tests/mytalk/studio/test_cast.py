from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mytalk.errors import InputError, OptionError
from mytalk.studio.cast import Cast, Segment, Speaker, read_cast, read_segments


def _cast(folder: Path, **changes: Any) -> Path:
    for name in ("anna.wav", "bert.wav", "bert.png", "line.wav", "all.wav"):
        (folder / name).touch()
    given: dict[str, Any] = {
        "speakers": {"anna": {"voice": "anna.wav", "face": "auto"}, "bert": {"voice": "bert.wav", "face": [0.7, 0.3]}},
        "segments": [{"start": 2, "end": 3.5, "speaker": "bert"}, {"start": 0.1, "end": 2.5, "speaker": "anna"}],
    }
    path = folder / "cast.json"
    path.write_text(json.dumps({**given, **changes}))
    return path


def test_a_cast_names_voices_faces_and_segments(tmp_path: Path) -> None:
    assert read_cast(_cast(tmp_path)) == Cast(
        [Speaker("anna", None, tmp_path / "anna.wav"), Speaker("bert", (0.7, 0.3), tmp_path / "bert.wav")],
        [Segment(Fraction(1, 10), Fraction(5, 2), "anna"), Segment(Fraction(2), Fraction(7, 2), "bert")],
    )


def test_one_mix_or_a_voice_for_a_segment_will_do(tmp_path: Path) -> None:
    speakers = {"anna": {"face": "auto"}, "bert": {"face": "bert.png"}}
    cast = read_cast(_cast(tmp_path, speakers=speakers, mix="all.wav"))
    assert cast.mix == tmp_path / "all.wav"
    assert cast.speakers[1].face == tmp_path / "bert.png"
    lines = [
        {"start": 0, "end": 1, "speaker": "anna", "voice": "line.wav"},
        {"start": 1, "end": 2, "speaker": "bert", "voice": "line.wav"},
    ]
    assert read_cast(_cast(tmp_path, speakers=speakers, segments=lines)).segments[0].voice == tmp_path / "line.wav"


RTTM = (
    "SPEAKER film 1 0.50 1.25 <NA> <NA> anna <NA> <NA>\nSPKR-INFO film 1\n"
    "SPEAKER film 1 2.0 1 <NA> <NA> bert <NA> <NA>\n"
)
SRT = "1\n00:00:00,500 --> 00:00:01,750\nanna: Good\nmorning\n\n2\n00:00:02,000 --> 00:00:03,000\n[bert] Yes.\n"
VTT = (
    "WEBVTT\n\nNOTE none\n\n00:00.500 --> 00:01.750 align:start\n<v anna>Good</v>\n\n"
    "00:02.000 --> 00:03.000\n<v.loud bert>Yes\n"
)


@pytest.mark.parametrize(("name", "text"), [("a.rttm", RTTM), ("a.srt", SRT), ("a.vtt", VTT)])
def test_segments_are_read_from_what_names_speakers(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    expected = [Segment(Fraction(1, 2), Fraction(7, 4), "anna"), Segment(Fraction(2), Fraction(3), "bert")]
    assert read_segments(tmp_path / name) == expected
    assert read_cast(_cast(tmp_path, segments=name)).segments == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speakers": {}}, "names no speakers"),
        ({"segments": None}, "names no segments"),
        ({"speakers": {"anna": {"voice": "anna.wav"}}}, "anna has no face"),
        ({"speakers": {"anna": {"voice": "anna.wav", "face": [2, 0]}}}, r"anna has the face \[2, 0\]"),
        ({"speakers": {"anna": {"voice": "no.wav", "face": "auto"}}}, "no.wav: no such file"),
        ({"speakers": {"anna": {"face": "auto", "name": "A"}}}, "anna has name, which means nothing"),
        ({"speakers": {"anna": {"face": "auto"}, "bert": {"voice": "bert.wav", "face": "auto"}}}, "anna has no voice"),
        ({"segments": [{"start": 0, "end": 1, "speaker": "carl"}]}, "carl, who speaks at 0-1 s, is not among"),
        ({"segments": [{"start": 0, "end": 1, "speaker": "anna"}]}, "bert speaks in no segment"),
        ({"segments": [{"start": 1, "end": 1, "speaker": "anna"}]}, "anna speaks at 1-1 s"),
        ({"segments": [{"start": 1, "speaker": "anna"}]}, "segment 1 is"),
        (
            {"segments": [{"start": 0, "end": 2, "speaker": "anna"}, {"start": 1, "end": 3, "speaker": "anna"}]},
            r"segments of anna overlap \(0-2 s and 1-3 s\)",
        ),
    ],
)
def test_what_is_wrong_with_a_cast_is_one_clear_line(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises((InputError, OptionError), match=words) as caught:
        read_cast(_cast(tmp_path, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.rttm", "SPEAKER film 1 now 1\n", "line 1 is no SPEAKER line"),
        ("a.srt", "1\n00:00:00,500 --> 00:00:01,750\nGood morning\n", "'Good morning' does not say who speaks"),
        ("a.vtt", "WEBVTT\n\nsoon --> 00:01.0\n<v a>b\n", "'soon' is no time"),
        ("a.txt", "", "of a kind that is not read"),
    ],
)
def test_segments_that_name_nobody_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_segments(tmp_path / name)
