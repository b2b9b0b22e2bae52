"""Protects a payload against errors: CRC-24 and a convolutional code, decoded from soft values (Viterbi 1967)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

PAYLOAD_BITS = 48
CHECK_BITS = 24
_MEMORY = 6
_STATES = 1 << _MEMORY
_POLYNOMIALS = (0o133, 0o145, 0o175)  # rate 1/3, constraint length 7: Proakis, "Digital Communications", table 8.2-2
_CRC = 0x864CFB  # CRC-24 of RFC 4880, section 6.1
_CRC_START = 0xB704CE
_STEPS = PAYLOAD_BITS + CHECK_BITS + _MEMORY
CODED_BITS = _STEPS * len(_POLYNOMIALS)


def encode(payload: int) -> NDArray[np.int8]:
    """Returns the code word of a payload of 48 bits, ``(234,)`` of -1 and 1. Raises ValueError for more bits."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise ValueError(f"payload {payload}: need 0 to 2^{PAYLOAD_BITS} - 1")
    word = (payload << CHECK_BITS) | _check(payload)
    return _encode_bits([(word >> shift) & 1 for shift in reversed(range(PAYLOAD_BITS + CHECK_BITS))])


def decode(soft: NDArray[np.float64]) -> tuple[int | None, NDArray[np.int8]]:
    """Finds the code word nearest to soft values ``(234,)``, positive for 1. Returns its payload, None where the check
    fails, and the code word."""
    bits = _viterbi(soft.reshape(_STEPS, len(_POLYNOMIALS)))[: PAYLOAD_BITS + CHECK_BITS]
    word = int("".join(map(str, bits)), 2)
    payload, check = word >> CHECK_BITS, word & ((1 << CHECK_BITS) - 1)
    return (payload if _check(payload) == check else None), _encode_bits(bits)


def _check(payload: int) -> int:
    crc = _CRC_START
    for byte in payload.to_bytes(PAYLOAD_BITS // 8, "big"):
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= _CRC | 0x1000000
    return crc


def _encode_bits(bits: list[int]) -> NDArray[np.int8]:
    _, outputs = _trellis()
    state, coded = 0, []
    for bit in [*bits, *[0] * _MEMORY]:
        coded.append(outputs[state, bit])
        state = ((state << 1) | bit) & (_STATES - 1)
    return np.asarray(np.concatenate(coded), np.int8)


@cache
def _trellis() -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """Returns both predecessors of each state, ``(64, 2)``, and what each state sends for each bit, ``(64, 2, 3)``."""
    before = np.array([[(state >> 1) | (top << (_MEMORY - 1)) for top in (0, 1)] for state in range(_STATES)])
    outputs = np.empty((_STATES, 2, len(_POLYNOMIALS)), np.int8)
    for state in range(_STATES):
        for bit in (0, 1):
            register = (state << 1) | bit
            outputs[state, bit] = [1 if (register & p).bit_count() % 2 else -1 for p in _POLYNOMIALS]
    return before.astype(np.intp), outputs


def _viterbi(soft: NDArray[np.float64]) -> list[int]:
    """Returns the bits of the path through the trellis that agrees best, from state 0 to state 0."""
    before, outputs = _trellis()
    bit = np.arange(_STATES) & 1
    sent = outputs[before, bit[:, None]].astype(np.float64)  # (64, 2, 3)
    score = np.full(_STATES, -np.inf)
    score[0] = 0.0
    choices = np.empty((len(soft), _STATES), np.intp)
    for step, values in enumerate(soft):
        candidates = score[before] + sent @ values
        choices[step] = candidates.argmax(axis=1)
        score = candidates.max(axis=1)
    state, bits = 0, []
    for step in reversed(range(len(soft))):
        bits.append(state & 1)
        state = int(before[state, choices[step, state]])
    return bits[::-1]
