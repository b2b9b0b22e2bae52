"""Reports rank, judge and print given figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mytalk.errors import OutputError
from mytalk.evaluation.clip import ClipResult
from mytalk.evaluation.metrics import BY_KEY, METRICS, full_title
from mytalk.evaluation.report import as_json, write_report
from mytalk.evaluation.run import Report
from mytalk.evaluation.strips import Cell
from mytalk.evaluation.summary import summarise, weaknesses

NAN = float("nan")


def report(**scores: tuple[float, float]) -> Report:
    """Two clips, ``good`` and ``bad``, with a figure each."""
    generated = Report({"system": "A <system>", "mode": "paired"}, missing={"lse_d": "give --syncnet"})
    for index, name in enumerate(("good", "bad")):
        clip = ClipResult(name, name, 50, {key: pair[index] for key, pair in scores.items()})
        clip.curves = {"filmed": np.linspace(0, 0.1, 50, dtype=np.float32), "generated": np.full(50, NAN, np.float32)}
        clip.even = [Cell(640, 0.0, b"jpeg")]
        generated.clips.append(clip)
    return generated


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [("psnr", 35, 20), ("mouth_lmd", 0.01, 0.09), ("lag", -1, -6), ("range_ratio", 1.1, 0.4), ("sharpness", 0.9, 3)],
)
def test_the_worst_clip_of_each_kind_of_metric_is_found(key: str, good: float, bad: float) -> None:
    (row,) = summarise(report(**{key: (good, bad)}))
    assert (row.worst, row.worst_clip) == (bad, "bad")
    assert row.mean == row.median == pytest.approx((good + bad) / 2)
    assert row.weak_clips == [("bad", bad)]
    (sentence,) = weaknesses(report(**{key: (good, bad)}))
    assert "bad" in sentence
    assert BY_KEY[key].title in sentence


def test_a_figure_that_is_not_known_does_not_count() -> None:
    (row,) = summarise(report(psnr=(33.0, NAN)))
    assert row.mean == row.worst == 33
    assert weaknesses(report(psnr=(33.0, NAN))) == []


def test_a_seam_within_chance_is_no_weakness() -> None:
    found = weaknesses(report(seam=(1.3, 1.3), seam_chance=(1.4, 1.2)))
    assert len(found) == 1
    assert "1 of 2" in found[0]


def test_lips_no_better_than_a_still_mouth_come_first() -> None:
    found = weaknesses(report(mouth_lmd=(0.02, 0.06), still_mouth_lmd=(0.05, 0.05)))
    assert found[0].startswith("bad: lips are no nearer to the film")
    assert not any(text.startswith("good:") for text in found)


def test_json_is_strict_and_holds_every_metric(tmp_path: Path) -> None:
    generated = report(psnr=(float("inf"), 20.0))
    generated.clips.append(ClipResult("broken", "broken", failed="broken: no face"))
    write_report(generated, tmp_path / "new" / "report")
    read = json.loads((tmp_path / "new" / "report" / "report.json").read_text())
    assert [clip["scores"]["psnr"] for clip in read["clips"]] == ["inf", 20.0, None]
    assert read["clips"][2]["failed"] == "broken: no face"
    assert set(read["metrics"]) == set(read["clips"][0]["scores"]) == {metric.key for metric in METRICS}
    assert read["not_computed"] == {"lse_d": "give --syncnet"}
    assert read["summary"]["psnr"]["clips"] == 2
    assert read["clips"][0]["aperture"]["generated"][0] is None


def test_the_page_needs_nothing_else_and_escapes_what_it_is_given(tmp_path: Path) -> None:
    generated = report(psnr=(35.0, 20.0))
    generated.clips.append(ClipResult("broken", "broken", failed="no face <b>"))
    text = write_report(generated, tmp_path).read_text()
    links = re.findall(r'(?:src|href)="([^"]{0,30})', text)
    assert len(links) == 2
    assert all(link.startswith("data:image/jpeg;base64,") for link in links)
    assert "<script" not in text
    assert "A &lt;system&gt;" in text
    assert "no face &lt;b&gt;" in text
    assert "LSE-D: give --syncnet" in text
    assert "prefers-color-scheme: dark" in text
    assert text.count("<svg viewBox") == 2


def test_a_title_that_goes_on_from_another_takes_it_along() -> None:
    assert full_title(BY_KEY["still_mouth_lmd"]) == "Landmark distance, mouth, of a mouth that never moves"
    assert full_title(BY_KEY["loudness_correlation"]) == "Aperture correlation, of loudness alone"
    assert full_title(BY_KEY["psnr"]) == "PSNR, face"


def test_metrics_missing_for_one_reason_stand_together(tmp_path: Path) -> None:
    generated = report(psnr=(35.0, 20.0))
    generated.missing["lse_c"] = "give --syncnet"
    assert "LSE-D; LSE-C: give --syncnet" in write_report(generated, tmp_path).read_text()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(report(), tmp_path / "file" / "report")


def test_a_report_of_nothing_is_still_a_page() -> None:
    empty = Report({"system": "x"}, clips=[ClipResult("a", "a", failed="gone")])
    assert as_json(empty)["summary"] == {}
