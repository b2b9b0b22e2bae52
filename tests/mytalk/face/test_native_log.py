"""Only the libraries' own lines are withheld from standard error."""

from __future__ import annotations

import os
import sys

import pytest

from mytalk.face.native_log import without_native_log


def test_lines_of_others_still_reach_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with without_native_log():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"W0000 00:00:1796058164.69   23278 inference_feedback_manager.cc:114] Disabling.\n")
        os.write(2, b"INFO: mine\n")
        os.write(2, b"W0000 is mine too, half a line")
    os.write(2, b"\nafter\n")
    assert capfd.readouterr().err == "INFO: mine\nW0000 is mine too, half a line\nafter\n"


def test_standard_error_comes_back_after_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), without_native_log():
        raise ZeroDivisionError
    os.write(2, b"here\n")
    assert capfd.readouterr().err == "here\n"
    assert sys.stderr is not None
