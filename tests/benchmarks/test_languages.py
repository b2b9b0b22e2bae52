from __future__ import annotations

import numpy as np

from benchmarks.quality.languages import LANGUAGES, bilabials_of
from mytalk.evaluation.closure import Bilabial
from mytalk.training.voices.sentences import sentence
from mytalk.training.voices.sound import Spoken


def test_lips_ought_to_meet_from_a_frame_before_a_bilabial_to_its_end() -> None:
    classes = [("silence", 0.4), ("bilabial", 0.48), ("a", 0.6), ("bilabial", 0.72)]
    assert bilabials_of(Spoken(np.zeros(16_000, np.float32), classes)) == [Bilabial(9, 12), Bilabial(14, 18)]


def test_there_are_texts_in_each_language() -> None:
    assert all(sentence(language, np.random.default_rng(1)) for language in LANGUAGES)
