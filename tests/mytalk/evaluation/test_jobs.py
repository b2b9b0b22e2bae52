"""Jobs pair each film with the film and the speech that it is scored against."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytalk.errors import InputError, OptionError, UnreadableError
from mytalk.evaluation.jobs import Job, jobs_of_clips, jobs_of_folders, jobs_of_table

A, B, C = Path("a.mp4"), Path("b.mp4"), Path("c.mp4")


def test_paired_clips_speak_their_own_words_and_unpaired_ones_the_next_clips() -> None:
    assert jobs_of_clips([A, B], unpaired=False) == [Job(A, A), Job(B, B)]
    jobs = jobs_of_clips([A, B, C], unpaired=True)
    assert [(job.true, job.voice) for job in jobs] == [(A, B), (B, C), (C, A)]
    assert not any(job.paired for job in jobs)
    with pytest.raises(OptionError, match="two at least"):
        jobs_of_clips([A], unpaired=True)


def test_a_table_of_pairs_is_read_beside_itself(tmp_path: Path) -> None:
    table = tmp_path / "pairs.tsv"
    table.write_text("# made\ttrue\nmade/x.mp4\tx.mov\n\nmade/y.mp4\ty.mov\tz.wav\n")
    own, other = jobs_of_table(table)
    assert own == Job(tmp_path / "x.mov", tmp_path / "x.mov", tmp_path / "made/x.mp4")
    assert own.paired
    assert other.voice == tmp_path / "z.wav"
    assert not other.paired


@pytest.mark.parametrize(("text", "words"), [("", "no pairs"), ("only one\n", ":1: 1 cells")])
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "pairs.tsv"
    table.write_text(text)
    with pytest.raises(OptionError, match=words):
        jobs_of_table(table)
    with pytest.raises(UnreadableError, match="cannot be read"):
        jobs_of_table(tmp_path / "none.tsv")


def test_folders_are_matched_by_name_and_no_film_is_left_out_in_silence(tmp_path: Path) -> None:
    generated, true = tmp_path / "made", tmp_path / "true"
    with pytest.raises(UnreadableError, match="no such folder"):
        jobs_of_folders(generated, true)
    for folder in (generated, true):
        folder.mkdir()
    with pytest.raises(InputError, match="no films"):
        jobs_of_folders(generated, true)
    (generated / "x.mp4").touch()
    (true / "x.mov").touch()
    (true / "y.mov").touch()
    assert jobs_of_folders(generated, true) == [Job(true / "x.mov", true / "x.mov", generated / "x.mp4")]
    (generated / "z.mp4").touch()
    with pytest.raises(InputError, match=r"z\.mp4 has no film of its name"):
        jobs_of_folders(generated, true)
