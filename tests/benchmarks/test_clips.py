"""``benchmarks/clips.toml`` names each clip completely, and its hashes are those of the files."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIPS = tomllib.loads((ROOT / "benchmarks" / "clips.toml").read_text())["clip"]
REAL = ROOT.parent / "shared" / "real"
FIELDS = {"file", "shows", "media", "source", "changes", "sha256", "licence", "use"}


def test_each_clip_says_what_it_is_and_where_it_comes_from() -> None:
    assert len({clip["file"] for clip in CLIPS}) == len(CLIPS)
    for clip in CLIPS:
        assert clip.keys() - {"table", "kinds"} == FIELDS, clip["file"]
        assert all(isinstance(clip[field], str) and clip[field] for field in FIELDS), clip["file"]
        assert re.fullmatch(r"[0-9a-f]{64}", clip["sha256"]), clip["file"]
        assert clip["source"].startswith("https://"), clip["file"]


def test_the_tables_name_the_clips_that_they_are_of() -> None:
    tables = [clip["table"] for clip in CLIPS if "table" in clip]
    assert {table: tables.count(table) for table in tables} == {"other languages": 4}


def test_kinds_group_films_of_people() -> None:
    kinds = [kind for clip in CLIPS for kind in clip.get("kinds", ())]
    assert set(kinds) == {"close-up", "beard", "glasses", "hidden teeth", "emotional", "stage", "French"}
    assert all(clip["file"].startswith("eval/") for clip in CLIPS if "kinds" in clip)


@pytest.mark.skipif(not REAL.is_dir(), reason="the clips are not beside this checkout")
def test_hashes_are_those_of_the_files() -> None:
    for clip in CLIPS:
        found = hashlib.sha256((REAL / clip["file"]).read_bytes()).hexdigest()
        assert found == clip["sha256"], clip["file"]
