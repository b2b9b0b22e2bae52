"""The code of a watermark corrects errors, and what it cannot correct it does not make up."""

from __future__ import annotations

import numpy as np
import pytest

from mytalk.marking.code import CODED_BITS, decode, encode
from mytalk.marking.payload import ID_BITS, Payload


@pytest.mark.parametrize("payload", [0, 1, 0x0123456789AB, 2**48 - 1])
def test_a_code_word_decodes_to_its_payload(payload: int) -> None:
    assert decode(encode(payload).astype(np.float64))[0] == payload


def test_a_tenth_of_the_bits_may_be_wrong() -> None:
    random = np.random.default_rng(3)
    word = encode(0x0123456789AB)
    for _ in range(10):
        soft = word + random.normal(0, 0.8, CODED_BITS)  # 10 % of the signs are wrong
        assert decode(soft)[0] == 0x0123456789AB


def test_noise_passes_no_check() -> None:
    random = np.random.default_rng(4)
    assert [decode(random.normal(size=CODED_BITS))[0] for _ in range(100)] == [None] * 100


def test_nothing_at_all_passes_no_check() -> None:
    assert decode(np.zeros(CODED_BITS))[0] is None


@pytest.mark.parametrize("payload", [-1, 2**48])
def test_a_payload_of_other_than_48_bits_is_refused(payload: int) -> None:
    with pytest.raises(ValueError, match="need 0 to"):
        encode(payload)


def test_a_payload_says_what_it_names() -> None:
    film = Payload.of("film", "one")
    assert Payload.from_bits(film.to_bits()) == film
    assert film != Payload.of("session", "one")
    assert 0 <= film.id < 2**ID_BITS


def test_bits_of_another_version_are_no_payload() -> None:
    assert Payload.from_bits(Payload("film", 5, version=2).to_bits()) is None
    assert Payload.from_bits(15 << ID_BITS | 1 << (ID_BITS + 4)) is None
