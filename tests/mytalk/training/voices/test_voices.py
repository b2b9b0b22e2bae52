"""Voices as data: every phone has a mouth, lips meet in every bilabial, and the installed programs keep phone times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.errors import MyTalkError, OptionError
from mytalk.media_time import SAMPLE_RATE
from mytalk.training.voices import catalogue, corpus, espeak, sentences
from mytalk.training.voices.catalogue import VOICES, Voice
from mytalk.training.voices.phones import CLASSES, IPA, PHONE_SETS, PhoneSetError, class_numbers, classes_of, in_classes
from mytalk.training.voices.sentences import sentence, slots
from mytalk.training.voices.sound import Request, between_pauses, resampled
from mytalk.training.voices.visemes import VISEMES, speak

LANGUAGES = {path.stem for path in (Path(sentences.__file__).parent / "texts").glob("*.txt")}

# phones that each voice declares; what festival's (PhoneSet.description '(phones)) prints for it
# fmt: off
_DECLARED = {
    "radio": "aa ae ah ao aw ax axr ay b ch d dh dx eh el em en er ey f g hh hv ih iy jh k l m n nx ng ow oy p r s sh "
             "t th uh uw v w y z zh pau h# brth",
    "czech": "# _ a a: b c c~ ch d d~ dz dz~ e e: f g h i i: j k l m n n* n~ o o: p r r~ r~* s s~ t t~ u u: v z z~",
    "finnish": "a e i o u y @ 7 & a: e: i: o: u: y: @: 7: p t k b d g f T s S h v m n N l L r j w p: t: k: b: d: g: f: "
               "T: D: s: z: S: Z: h: v: m: n: N: w: l: L: r: j: ## #",
    "italian": "i e E a o O u i1 e1 E1 a1 o1 O1 u1 j w p t k b d g f s S v z Z ts tS dz dZ m n J ng nf l L r #",
    "indic": "a aa ih iy uh uw eh ee ay oh oo aw f k g ch T D N th dh n p b m y r l v L R s sh j h ksh sri x kh gh td "
             "tth ddh bh zh @ pau w",
    "russian": "pau ii yy uu ee oo aa a e i y u ae ay ur p pp b bb t tt d dd k kk g gg c ch f ff v vv s ss z zz sh sch "
               "zh h hh m mm n nn l ll r rr j",
    "catalan": "ax a a1 b d e e1 E E1 f g i i1 j J k l L m n o o1 O O1 p r rr s S t u u1 w z Z pau _ #",
}
# fmt: on
_FREE = Voice("absent", "flite", "absent", "en", "radio", "flite-absent")


@pytest.mark.parametrize("phone_set", sorted(PHONE_SETS))
def test_every_declared_phone_has_classes(phone_set: str) -> None:
    for phone in _DECLARED[phone_set].split():
        assert set(classes_of(phone_set, phone)) <= set(CLASSES)


def test_every_class_has_a_viseme_and_every_voice_a_phone_set_and_a_text() -> None:
    assert set(VISEMES) == set(CLASSES)
    assert set(IPA.values()) <= set(CLASSES)
    assert {voice.phone_set for voice in VOICES} == {*PHONE_SETS, "ipa"}
    assert {voice.language for voice in VOICES} == LANGUAGES
    assert len({voice.name for voice in VOICES}) == len(VOICES)


def test_a_phone_that_a_set_lacks_is_an_error() -> None:
    with pytest.raises(PhoneSetError, match="no phone 'qq'"):
        classes_of("radio", "qq")
    with pytest.raises(PhoneSetError, match="☃"):
        classes_of("ipa", "a☃")


def test_ipa_marks_do_not_change_the_mouth() -> None:
    assert classes_of("ipa", "ts.h") == ("alveolar", "sibilant")
    assert classes_of("ipa", "aɪ") == ("a", "ih")
    assert classes_of("ipa", "ɔ̃ː") == ("open-o",)
    assert classes_of("ipa", "h") == ("glottal",)
    assert classes_of("ipa", "") == ("silence",)


def test_diphthongs_share_their_time_and_each_step_has_the_class_heard_in_it() -> None:
    classes = in_classes("radio", [("pau", 0.1), ("ay", 0.3), ("m", 0.35)])
    assert [name for name, _ in classes] == ["silence", "a", "ih", "bilabial"]
    numbers = class_numbers(classes, 40)
    heard = [CLASSES[number] for number in numbers]
    assert heard == ["silence"] * 10 + ["a"] * 10 + ["ih"] * 10 + ["bilabial"] * 5 + ["silence"] * 5


@pytest.mark.parametrize("around", [name for name in CLASSES if name != "bilabial"])
@pytest.mark.parametrize("length", [0.03, 0.06, 0.12])
def test_lips_meet_in_every_bilabial(around: str, length: float) -> None:
    for start in (0.4, 0.41, 0.42, 0.43):
        classes = [("silence", 0.2), (around, start), ("bilabial", start + length), (around, 0.8), ("silence", 1.0)]
        gap = speak(classes, 1.0, np.random.default_rng(3))[:, 0]
        times = np.arange(len(gap)) / 25
        during = (times >= start - 0.06) & (times <= start + length + 0.02)
        assert gap[during].min() <= 0, (around, start)


def test_vowels_part_the_lips() -> None:
    vowels = CLASSES[CLASSES.index("i") :]
    for vowel in vowels:
        gap = speak([("silence", 0.3), (vowel, 0.6), ("silence", 0.9)], 0.9, np.random.default_rng(0))[:, 0]
        assert gap.max() > 0.02, vowel


def test_texts_draw_every_phrase_and_stay_the_same_for_a_seed() -> None:
    for language in sorted(LANGUAGES):
        first, again = (sentence(language, np.random.default_rng(5)) for _ in range(2))
        assert first == again
        drawn = " ".join(sentence(language, rng) for rng in [np.random.default_rng(1)] for _ in range(600))
        assert all(phrase in drawn for slot in slots(language) for phrase in slot)


@pytest.mark.parametrize("rate", [22_050, 32_000, 44_100])
def test_resampling_keeps_time(rate: int) -> None:
    pcm = np.zeros(rate, np.int16)
    pcm[rate // 2 :] = (8000 * np.sin(2 * np.pi * 440 * np.arange(rate - rate // 2) / rate)).astype(np.int16)
    sound = resampled(pcm, rate)
    assert abs(len(sound) - SAMPLE_RATE) < 40
    assert abs(int(np.flatnonzero(np.abs(sound) > 0.05)[0]) - SAMPLE_RATE // 2) < 16


@pytest.mark.parametrize("before", [0.0, 0.1, 1.5])
def test_a_sentence_lies_between_pauses_of_one_length(before: float) -> None:
    sound = np.zeros(round((before + 0.5 + 1.0) * SAMPLE_RATE), np.float32)
    sound[round(before * SAMPLE_RATE) :][: SAMPLE_RATE // 2] = 0.5
    spoken = between_pauses(sound, [("silence", before), ("a", before + 0.5), ("silence", before + 1.5)])
    assert [name for name, _ in spoken.classes] == ["silence", "a", "silence"]
    np.testing.assert_allclose([end for _, end in spoken.classes], [0.3, 0.8, 1.1])
    assert len(spoken.sound) == round(1.1 * SAMPLE_RATE)
    assert np.flatnonzero(spoken.sound)[[0, -1]].tolist() == [round(0.3 * SAMPLE_RATE), round(0.8 * SAMPLE_RATE) - 1]


def test_a_missing_voice_is_reported_once_and_none_at_all_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MyTalkError, match="apt install flite-absent"):
        corpus.usable((_FREE,))
    with pytest.raises(OptionError, match="no voice nobody"):
        catalogue.chosen(["nobody"])
    assert [voice.name for voice in catalogue.chosen(["slt", "awb"])] == ["awb", "slt"]
    assert not caplog.records
    there = catalogue.installed(VOICES)
    if there:
        assert corpus.usable((there[0], _FREE)) == (there[0],)
        assert len(caplog.records) == 1
        assert "absent" in caplog.text


@pytest.mark.parametrize("voice", VOICES, ids=lambda voice: voice.name)
def test_vowels_are_louder_than_pauses_where_the_phones_say_so(voice: Voice) -> None:
    if not catalogue.installed((voice,)):
        pytest.skip(f"not installed: {voice.package}")
    wanted = corpus.requests(voice, 2, seed=4)
    texts = list(voice.speak(wanted))
    assert len(texts) == 2
    for spoken in texts:
        steps = len(spoken.sound) // 160
        heard = class_numbers(spoken.classes, steps)
        level = np.log((spoken.sound[: steps * 160].reshape(steps, 160) ** 2).mean(axis=1) + 1e-7)
        vowels = heard >= CLASSES.index("i")
        assert 0.15 < vowels.mean() < 0.75
        assert level[vowels].mean() > level[heard == 0].mean() + 3
        loudness = [np.corrcoef(np.roll(vowels, lag), level)[0, 1] for lag in range(-8, 9)]
        assert abs(int(np.argmax(loudness)) - 8) <= 3, loudness


def test_espeak_stops_begin_with_their_closure() -> None:
    if not espeak.installed(["de"]):
        pytest.skip("not installed: espeak-ng")
    (spoken,) = espeak.speak("de", [Request("Papa")])
    level = np.abs(spoken.sound)
    for (_, begin), (name, _) in zip(spoken.classes, spoken.classes[1:], strict=False):
        if name == "bilabial" and begin > 0.35:
            closure = slice(round((begin + 0.005) * SAMPLE_RATE), round((begin + 0.02) * SAMPLE_RATE))
            assert level[closure].max() < 0.01
            return
    pytest.fail("no second p")


def _stored(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path) as stored:
        return dict(stored)


@pytest.mark.parametrize("name", ["kal16", "kal", "lp", "espeak-es"])
def test_a_file_holds_one_voice_whole_is_the_same_for_its_seed_and_is_made_once(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (voice,) = catalogue.chosen([name])
    if not catalogue.installed((voice,)):
        pytest.skip(f"not installed: {voice.package}")
    folder = tmp_path_factory.mktemp("speech")
    paths = [folder / "first.npz", folder / "again.npz"]
    seconds = [corpus.make(voice, path, 3, seed=9) for path in paths]
    assert sorted(folder.iterdir()) == sorted(paths)
    first, again = (_stored(path) for path in paths)
    for key in ("sound", "controls", "phones", "lengths"):
        np.testing.assert_array_equal(first[key], again[key])
    frames = int(first["lengths"].sum())
    assert seconds[0] == pytest.approx(frames / 25)
    assert first["sound"].shape == (640 * frames,)
    assert first["controls"].shape == first["phones"].shape == (frames, 4)
    assert tuple(first["classes"]) == CLASSES
    assert first["phones"].max() < len(CLASSES)
    assert corpus.is_made(paths[0], corpus.settings(voice, 3, 9))
    assert not corpus.is_made(paths[0], corpus.settings(voice, 3, 10))
    paths[1].write_bytes(paths[1].read_bytes()[:1000])
    assert not corpus.is_made(paths[1], corpus.settings(voice, 3, 9))
