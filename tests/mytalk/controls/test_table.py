"""Tests the table of controls: every value is checked, and an error names the range."""

from __future__ import annotations

import pytest

from mytalk.controls import TABLE, Control, Controls
from mytalk.errors import OptionError


def control_ids(control: Control) -> str:
    return control.name


@pytest.mark.parametrize("control", TABLE, ids=control_ids)
def test_a_default_is_valid_and_reads_back_from_what_is_written(control: Control) -> None:
    control.check(control.default)
    if control.default is not None:
        assert control.read(control.written(control.default)) == control.default
    assert control.range in control.help


@pytest.mark.parametrize("control", TABLE, ids=control_ids)
def test_a_value_out_of_range_is_one_error_that_names_control_and_range(control: Control) -> None:
    wrong = {
        "number": control.most + 1,
        "whole": int(control.most) + 1,
        "choice": "nothing of the kind",
        "coded": object(),
    }
    with pytest.raises(OptionError) as refused:
        Controls(**{control.name: wrong[control.kind]})
    assert control.name in str(refused.value)
    assert control.range in str(refused.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1", None, -0.1])
def test_what_is_no_number_in_range_is_refused(value: object) -> None:
    with pytest.raises(OptionError, match="0 to 3 times"):
        Controls(mouth_opening=value)  # type: ignore[arg-type]


def test_a_text_that_is_no_value_is_refused_with_the_range() -> None:
    for control in TABLE:
        with pytest.raises(OptionError) as refused:
            control.read("?")
        assert control.range in str(refused.value)
