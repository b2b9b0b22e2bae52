"""Maps the phones of every voice to classes of the mouth: one inventory of our own for all languages.

A phone is one class, or several that share its time equally (diphthongs and affricates). Each phone set is a table of
``"class class ...": "phone phone ..."`` rows; IPA is read symbol by symbol. Vowels are named by height, place and
rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import MyTalkError

CLASSES = (
    "silence",
    "bilabial",  # p b m
    "labiodental",  # f v
    "dental",  # th dh
    "alveolar",  # t d n l, retroflexes
    "trill",  # tapped and rolled r
    "sibilant",  # s z
    "postalveolar",  # sh zh, lips pushed out
    "rhotic",  # English r, lips pushed out
    "palatal",  # j, ny, palatal stops
    "velar",  # k g ng x, uvulars
    "labiovelar",  # w
    "glottal",  # h, glottal stop
    "i",
    "ih",
    "ix",  # close central or back, unrounded
    "e",
    "eh",
    "ae",
    "a",
    "ah",
    "schwa",
    "er",
    "y",  # close front rounded
    "oe",  # mid front rounded
    "open-o",
    "o",
    "uh",
    "u",
)
CLASS_RATE = 100  # classes a second
_NUMBER = {name: number for number, name in enumerate(CLASSES)}


class PhoneSetError(MyTalkError):
    """Says that a voice spoke a phone that its phone set does not list."""


def _table(rows: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {phone: tuple(classes.split()) for classes, phones in rows.items() for phone in phones.split()}


_RADIO = {
    "silence": "pau h# brth sil",
    "bilabial": "p b m",
    "schwa bilabial": "em",
    "labiodental": "f v",
    "dental": "th dh",
    "alveolar": "t d n l dx nx",
    "schwa alveolar": "el en",
    "sibilant": "s z",
    "postalveolar": "sh zh ch jh",
    "rhotic": "r",
    "palatal": "y",
    "velar": "k g ng",
    "labiovelar": "w",
    "glottal": "hh hv",
    "i": "iy",
    "ih": "ih",
    "e ih": "ey",
    "eh": "eh",
    "ae": "ae",
    "a": "aa",
    "ah": "ah",
    "schwa": "ax",
    "er": "er axr",
    "open-o": "ao",
    "o uh": "ow",
    "uh": "uh",
    "u": "uw",
    "a ih": "ay",
    "a uh": "aw",
    "open-o ih": "oy",
}
_CZECH = {
    "silence": "# _",
    "bilabial": "p b m",
    "labiodental": "f v",
    "alveolar": "t d n l",
    "velar": "k g ch n*",
    "trill": "r",
    "sibilant": "s z c dz",
    "postalveolar": "s~ z~ c~ dz~ r~ r~*",
    "palatal": "j t~ d~ n~",
    "glottal": "h",
    "i": "i i:",
    "eh": "e e:",
    "a": "a a:",
    "o": "o o:",
    "u": "u u:",
}
_FINNISH = {
    "silence": "# ##",
    "bilabial": "p b m p: b: m:",
    "labiodental": "f v f: v:",
    "dental": "T D:",
    "alveolar": "t d n l t: d: n: l: T:",
    "trill": "r r:",
    "sibilant": "s s: z:",
    "postalveolar": "S S: Z:",
    "palatal": "j j: L L:",
    "velar": "k g N k: g: N:",
    "labiovelar": "w w:",
    "glottal": "h h:",
    "i": "i i:",
    "eh": "e e:",
    "ae": "@ @: & &:",
    "a": "a a:",
    "o": "o o:",
    "u": "u u:",
    "y": "y y:",
    "oe": "7 7:",
}
_ITALIAN = {
    "silence": "#",
    "bilabial": "p b m",
    "labiodental": "f v nf",
    "alveolar": "t d n l",
    "trill": "r",
    "sibilant": "s z ts dz",
    "postalveolar": "S Z tS dZ",
    "palatal": "j J L",
    "velar": "k g ng",
    "labiovelar": "w",
    "i": "i i1",
    "e": "e e1",
    "eh": "E E1",
    "a": "a a1",
    "o": "o o1",
    "open-o": "O O1",
    "u": "u u1",
}
_INDIC = {
    "silence": "pau",
    "bilabial": "p b m bh",
    "labiodental": "f v",
    "alveolar": "T D N th dh n l L R td tth ddh",
    "trill": "r",
    "sibilant": "s",
    "postalveolar": "ch sh j zh",
    "velar postalveolar": "ksh",
    "postalveolar trill i": "sri",
    "palatal": "y",
    "velar": "k g x kh gh",
    "labiovelar": "w",
    "glottal": "h",
    "ah": "a",
    "a": "aa",
    "ih": "ih",
    "i": "iy",
    "uh": "uh",
    "u": "uw",
    "eh": "eh",
    "e": "ee",
    "a ih": "ay",
    "o": "oh oo",
    "a uh": "aw",
    "schwa": "@",
}
_RUSSIAN = {
    "silence": "pau",
    "bilabial": "p pp b bb m mm",
    "labiodental": "f ff v vv",
    "alveolar": "t tt d dd n nn l ll",
    "trill": "r rr",
    "sibilant": "s ss z zz c",
    "postalveolar": "sh sch zh ch",
    "palatal": "j",
    "velar": "k kk g gg h hh",
    "i": "ii i",
    "ix": "yy y",
    "u": "uu u",
    "eh": "ee e",
    "o": "oo",
    "a": "aa",
    "ah": "a",
    "ih": "ae ay",
    "schwa": "ur",
}
_CATALAN = {
    "silence": "pau _ #",
    "bilabial": "p b m",
    "labiodental": "f",
    "alveolar": "t d n l L",
    "trill": "r rr",
    "sibilant": "s z",
    "postalveolar": "S Z",
    "palatal": "j J",
    "velar": "k g",
    "labiovelar": "w",
    "i": "i i1",
    "e": "e e1",
    "eh": "E E1",
    "a": "a a1",
    "schwa": "ax",
    "o": "o o1",
    "open-o": "O O1",
    "u": "u u1",
}
PHONE_SETS: dict[str, dict[str, tuple[str, ...]]] = {
    name: _table(rows)
    for name, rows in {
        "radio": _RADIO,
        "czech": _CZECH,
        "finnish": _FINNISH,
        "italian": _ITALIAN,
        "indic": _INDIC,
        "russian": _RUSSIAN,
        "catalan": _CATALAN,
    }.items()
}

IPA: dict[str, str] = {
    symbol: name
    for name, symbols in {
        "bilabial": "p b m ɓ ɸ β ʙ ᵐ",
        "labiodental": "f v ʋ ɱ",
        "dental": "θ ð",
        "alveolar": "t d n l ɫ ɭ ɖ ʈ ɳ ɗ ɬ ɮ ɺ",
        "trill": "r ɾ ɽ",
        "sibilant": "s z",
        "postalveolar": "ʃ ʒ ʂ ʐ ɕ ʑ",
        "rhotic": "ɹ ɻ",
        "palatal": "j ɲ ʎ c ɟ ç ʝ",
        "velar": "k g ɡ ŋ x ɣ q ɢ χ ʁ ɴ ʀ ɰ",
        "labiovelar": "w ʍ ɥ",
        "glottal": "h ɦ ʔ ? ħ ʕ",  # espeak-ng writes some of its own as ?
        "i": "i",
        "ih": "ɪ",
        "ix": "ɨ ɯ",
        "e": "e ᴇ",
        "eh": "ɛ",
        "ae": "æ",
        "a": "a ɑ",
        "ah": "ʌ ɐ ɜ ɤ",  # espeak-ng writes the end of German "Mutter" ɜ
        "schwa": "ə ɘ",
        "er": "ɚ ɝ",
        "y": "y ʏ ʉ",
        "oe": "ø œ ɵ ɞ ɶ",
        "open-o": "ɔ ɒ",
        "o": "o",
        "uh": "ʊ",
        "u": "u",
    }.items()
    for symbol in symbols.split()
}
_IPA_MARKS = frozenset("ːˑˈˌʰʲʷˠ̩̯̪̥̬̝̞̟̠̤̺̻̃̆͡‿.:;~^_|'-ˤ̚ʼˀ˞" + "0123456789˥˦˧˨˩↗↘")


def classes_of_ipa(phone: str) -> tuple[str, ...]:
    """Returns classes of one IPA phone, its length, tone and other marks put aside; an ``h`` after a stop is its
    breath.

    Raises PhoneSetError for a symbol that the table lacks.
    """
    symbols = [symbol for symbol in phone if symbol not in _IPA_MARKS]
    if unknown := [symbol for symbol in symbols if symbol not in IPA]:
        raise PhoneSetError(f"IPA phone {phone!r}: no mouth class for {' '.join(unknown)}")
    if len(symbols) > 1:
        symbols = [symbol for symbol in symbols if symbol != "h"]
    return tuple(IPA[symbol] for symbol in symbols) or ("silence",)


def classes_of(phone_set: str, phone: str) -> tuple[str, ...]:
    """Returns classes of one phone of a named set (a key of ``PHONE_SETS``, or ``ipa``). Raises PhoneSetError."""
    if phone_set == "ipa":
        return classes_of_ipa(phone)
    try:
        return PHONE_SETS[phone_set][phone]
    except KeyError as error:
        raise PhoneSetError(f"phone set {phone_set}: no phone {phone!r}") from error


def in_classes(phone_set: str, phones: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Converts phones with their end times in seconds to classes with theirs; equal neighbours stay apart."""
    found, start = [], 0.0
    for phone, end in phones:
        names = classes_of(phone_set, phone)
        found += [(name, start + (end - start) * (n + 1) / len(names)) for n, name in enumerate(names)]
        start = end
    return found


def class_numbers(classes: list[tuple[str, float]], count: int) -> NDArray[np.uint8]:
    """Returns the class in each of ``count`` steps of 10 ms, at their middles; silence after the last end."""
    ends = np.array([end for _, end in classes])
    numbers = np.array([*(_NUMBER[name] for name, _ in classes), 0], np.uint8)
    middles = (np.arange(count) + 0.5) / CLASS_RATE
    return numbers[np.searchsorted(ends, middles, side="right")]
