"""Word times become classes of the mouth: every word of GRID's commands, in time, and a damaged file is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytalk.errors import DataError
from mytalk.training.data.word_times import PRONUNCIATIONS, phones_of_clip, read_classes
from mytalk.training.voices.phones import CLASSES, classes_of


def test_all_words_of_the_commands_have_phones_of_the_radio_set() -> None:
    assert len(PRONUNCIATIONS) == 4 * 4 + 25 + 10 + 2
    for phones in PRONUNCIATIONS.values():
        assert all(set(classes_of("radio", phone)) <= set(CLASSES) for phone in phones)


def test_a_word_keeps_its_times_and_its_phones_their_order(tmp_path: Path) -> None:
    path = tmp_path / "clip.align"
    path.write_text("0 5000 sil\n5000 15000 bin\n17500 22500 m\n22500 25000 sil\n")
    classes = read_classes(path)
    assert [name for name, _ in classes] == [
        "silence",
        "bilabial",
        "ih",
        "alveolar",
        "silence",
        "eh",
        "bilabial",
        "silence",
    ]
    ends = [end for _, end in classes]
    assert ends == sorted(ends)
    assert [ends[n] for n in (0, 3, 4, 6, 7)] == pytest.approx([0.2, 0.6, 0.7, 0.9, 1.0])
    numbers = phones_of_clip(path, 30)
    assert numbers.shape == (30, 4)
    assert [CLASSES[number] for number in numbers[[2, 5, 16, 22, 29], 1]] == [
        "silence",
        "bilabial",
        "silence",
        "bilabial",
        "silence",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 10 sil\n10 20\n", ":2: '10 20' is not FIRST LAST WORD"),
        ("0 10 sil\n5 20 bin\n", ":2: .* goes back in time"),
        ("0 10 cucumber\n", ":1: no pronunciation of 'cucumber'"),
    ],
)
def test_a_wrong_line_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.align"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_classes(path)
