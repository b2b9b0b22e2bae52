from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Disposition

from mytalk.errors import OptionError
from mytalk.media import FilmWriter, SpeechReader, VideoReader
from mytalk.media.kept import KeptTracks, Sound
from tests.support.films import numbered, speech_like, write_sound

CHAPTERS = [(0, 400, "One"), (400, 1000, "Two")]


def _rich(path: Path, *, picture_late: Fraction = Fraction(0), words: str = "") -> Path:
    """One second: pictures, three sound tracks, and in Matroska an attachment; chapters, tags and a timecode."""
    with av.open(str(path), "w") as film:
        film.metadata.update({"title": "A film", "comment": "by hand"})
        picture = film.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 160, 120, "yuv420p"
        picture.metadata.update({"timecode": "01:00:00:00", "language": "eng"})
        sounds = [_track(film, number) for number in range(3)]
        if path.suffix == ".mkv":
            film.add_attachment("font.ttf", "font/ttf", b"not really a font")
        film.set_chapters(
            [
                {"id": n, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for n, (start, end, title) in enumerate(CHAPTERS)
            ]
        )
        text = film.add_stream("ass") if words else None
        if text is not None:
            text.metadata["language"] = "fra"
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(numbered(index), format="yuv420p")
            frame.pts, frame.time_base = index + round(picture_late * 25), Fraction(1, 25)
            film.mux(picture.encode(frame))
            for number, sound in enumerate(sounds):
                tone = np.full((1, 1920), 1000 * (number + 1), np.int16)
                block = av.AudioFrame.from_ndarray(tone, "s16", "mono")
                block.sample_rate, block.pts, block.time_base = 48000, index * 1920, Fraction(1, 48000)
                film.mux(sound.encode(block))
        if text is not None:
            line = av.Packet(f"0,0,Default,,0,0,0,,{words}".encode())
            line.pts = line.dts = 200
            line.duration, line.time_base, line.stream = 500, Fraction(1, 1000), text
            film.mux(line)
        for stream in (picture, *sounds):
            film.mux(stream.encode(None))
    return path


def _track(film: av.container.OutputContainer, number: int) -> AudioStream:
    sound = film.add_stream("pcm_s16le" if number else "flac", rate=48000, layout="mono")
    assert isinstance(sound, AudioStream)
    sound.metadata.update({"language": ("eng", "fra", "jpn")[number], "title": ("Main", "French", "Remarks")[number]})
    sound.disposition = (Disposition.default, Disposition.original, Disposition.comment)[number]
    return sound


def _dub(source: Path, out: Path, sound: Sound, finish: str = "fill") -> KeptTracks:
    reader = VideoReader(source)
    voice = SpeechReader(write_sound(out.with_suffix(".wav"), speech_like(1.0, 16000), 16000, layout="mono"))
    kept = KeptTracks(source, reader.info.first, sound)
    with FilmWriter(out, reader.info, voice, comment="synthetic", kept=kept, sound_codec="pcm") as writer:
        for frame in reader.frames():
            writer.write(frame)
        writer.finish(sound=finish)
    kept.close()
    return kept


def _packets(path: Path, index: int) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as film:
        stream = film.streams[index]
        return [(p.pts * p.time_base, bytes(p)) for p in film.demux(stream) if p.pts is not None]


def test_every_other_track_comes_back_as_it_was(tmp_path: Path) -> None:
    source = _rich(tmp_path / "in.mkv")
    kept = _dub(source, tmp_path / "out.mkv", Sound())
    assert kept.warnings == []
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert [stream.type for stream in film.streams] == ["video", "audio", "audio", "audio", "attachment"]
        assert [stream.language for stream in film.streams.audio] == [None, "fra", "jpn"]
        assert [s.metadata["title"] for s in film.streams.audio] == ["Main", "French", "Remarks"]
        dispositions = [stream.disposition for stream in film.streams.audio]
        assert dispositions[0] & Disposition.default
        assert dispositions[1:] == [Disposition.original, Disposition.comment]
        attached = film.streams[4]
        assert isinstance(attached, av.stream.AttachmentStream)
        assert (attached.metadata["filename"], attached.data) == ("font.ttf", b"not really a font")
        assert [(c["start"] * c["time_base"], c["metadata"]["title"]) for c in film.chapters() if c["time_base"]] == [
            (Fraction(start, 1000), title) for start, _, title in CHAPTERS
        ]
        tags = {key.lower(): value for key, value in film.metadata.items()}
        assert (tags["title"], tags["comment"]) == ("A film", "synthetic; by hand")
        timecodes = {key.lower(): value for key, value in film.streams.video[0].metadata.items()}
        assert timecodes["timecode"] == "01:00:00:00"
        assert film.streams.video[0].language == "eng"
    for index in (2, 3):
        assert _packets(source, index) == _packets(tmp_path / "out.mkv", index)


def test_a_timecode_and_chapters_go_into_quicktime_and_what_does_not_is_named(tmp_path: Path) -> None:
    kept = _dub(_rich(tmp_path / "in.mkv"), tmp_path / "out.mov", Sound(language="deu"))
    with av.open(str(tmp_path / "out.mov")) as film:
        assert film.streams.video[0].metadata["timecode"] == "01:00:00:00"
        assert [c["metadata"]["title"] for c in film.chapters()] == ["One", "Two"]
        assert [stream.language for stream in film.streams.audio] == ["ger", "fra", "jpn"]  # as QuickTime has it
    assert [warning for warning in kept.warnings if "font.ttf" in warning and "no attachments" in warning]
    assert len(kept.warnings) == 1
    again = _dub(tmp_path / "out.mov", tmp_path / "again.mov", Sound())
    assert again.warnings == []
    with av.open(str(tmp_path / "again.mov")) as film:
        assert film.streams.video[0].metadata["timecode"] == "01:00:00:00"


def test_a_track_that_a_container_does_not_take_is_named(tmp_path: Path) -> None:
    source = _rich(tmp_path / "in.mkv", words="Bonjour")
    assert _dub(source, tmp_path / "out.mkv", Sound()).warnings == []
    with av.open(str(tmp_path / "out.mkv")) as film:
        line = next(p for p in film.demux(film.streams.subtitles[0]) if p.size)
        assert (line.pts, line.duration, line.time_base) == (200, 500, Fraction(1, 1000))
        assert b"Bonjour" in bytes(line)
    kept = _dub(source, tmp_path / "out.mp4", Sound())
    assert [warning for warning in kept.warnings if "subtitle track" in warning and "fra" in warning]


@pytest.mark.parametrize(
    ("sound", "languages"),
    [
        (Sound(track=2, language="deu"), ["eng", "deu", "jpn"]),
        (Sound(place="add", language="deu"), ["eng", "fra", "jpn", "deu"]),
    ],
)
def test_the_speech_replaces_the_chosen_track_or_comes_beside_all(
    tmp_path: Path, sound: Sound, languages: list[str]
) -> None:
    _dub(_rich(tmp_path / "in.mkv"), tmp_path / "out.mkv", sound)
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert [stream.language for stream in film.streams.audio] == languages
        defaults = [stream.language for stream in film.streams.audio if stream.disposition & Disposition.default]
        assert defaults == ["deu"]


def test_a_track_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="has 3 sound tracks; --track 4"):
        KeptTracks(_rich(tmp_path / "in.mkv"), Fraction(0), Sound(track=4))


def test_tracks_that_begin_before_the_picture_keep_their_place(tmp_path: Path) -> None:
    source = _rich(tmp_path / "in.mkv", picture_late=Fraction(2, 5))
    _dub(source, tmp_path / "out.mkv", Sound(), finish="whole")
    with av.open(str(tmp_path / "out.mkv")) as film:
        starts = [(s.start_time or 0) * s.time_base for s in film.streams if s.type != "attachment" and s.time_base]
        assert starts == [Fraction(2, 5), Fraction(2, 5), 0, 0]
        first = next(film.decode(video=0))
        assert first.time == 0.4
