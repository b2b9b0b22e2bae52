"""Lists the voices that synthetic speech is made with, as data: synthesiser, language, phone set and Debian package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mytalk.errors import OptionError
from mytalk.training.voices import espeak, festival, flite
from mytalk.training.voices.sound import Request, Spoken


@dataclass(frozen=True, slots=True)
class Voice:
    """Describes one voice. ``name`` names its file; ``own_name`` is what its synthesiser calls it."""

    name: str
    synthesiser: str  # flite, festival or espeak-ng
    own_name: str
    language: str  # of its texts
    phone_set: str
    package: str
    encoding: str = "utf-8"

    def speak(self, requests: Sequence[Request]) -> Iterator[Spoken]:
        """Speaks each request. Raises MyTalkError where the synthesiser fails."""
        if self.synthesiser == "flite":
            return flite.speak(self.own_name, self.phone_set, requests)
        if self.synthesiser == "festival":
            return festival.speak(self.own_name, self.phone_set, requests, self.encoding)
        return espeak.speak(self.own_name, requests)


def _flite(name: str) -> Voice:
    return Voice(name, "flite", name, "en", "radio", "flite")


def _festival(name: str, own: str, language: str, phones: str, package: str, encoding: str = "utf-8") -> Voice:
    return Voice(name, "festival", own, language, phones, package, encoding)


def _espeak(language: str, own: str) -> Voice:
    return Voice(f"espeak-{language}", "espeak-ng", own, language, "ipa", "espeak-ng")


VOICES: tuple[Voice, ...] = (
    *(_flite(name) for name in ("awb", "rms", "slt", "kal16")),
    _festival("kal", "kal_diphone", "en", "radio", "festvox-kallpc16k"),
    _festival("slt-hts", "cmu_us_slt_arctic_hts", "en", "radio", "festvox-us-slt-hts"),
    _festival("lp", "lp_diphone", "it", "italian", "festvox-italp16k", "iso-8859-1"),
    _festival("pc", "pc_diphone", "it", "italian", "festvox-itapc16k", "iso-8859-1"),
    _festival("dita", "czech_dita", "cs", "czech", "festvox-czech-dita", "iso-8859-2"),
    _festival("krb", "czech_krb", "cs", "czech", "festvox-czech-krb", "iso-8859-2"),
    _festival("machac", "czech_machac", "cs", "czech", "festvox-czech-machac", "iso-8859-2"),
    _festival("ph", "czech_ph", "cs", "czech", "festvox-czech-ph", "iso-8859-2"),
    _festival("suo-lj", "suo_fi_lj_diphone", "fi", "finnish", "festvox-suopuhe-lj", "iso-8859-15"),
    _festival("hy-mv", "hy_fi_mv_diphone", "fi", "finnish", "festvox-suopuhe-mv", "iso-8859-15"),
    _festival("nsk-hi", "hindi_NSK_diphone", "hi", "indic", "festvox-hi-nsk"),
    _festival("nsk-mr", "marathi_NSK_diphone", "mr", "indic", "festvox-mr-nsk"),
    _festival("nsk-te", "telugu_NSK_diphone", "te", "indic", "festvox-te-nsk"),
    _festival("nsh", "msu_ru_nsh_clunits", "ru", "russian", "festvox-ru"),
    _festival("ona", "upc_ca_ona_hts", "ca", "catalan", "festvox-ca-ona-hts", "iso-8859-15"),
    *(_espeak(language, language) for language in ("de", "es", "fr", "pl", "tr", "nl")),
    _espeak("pt", "pt-br"),
    _espeak("zh", "cmn-latn-pinyin"),
)


def chosen(names: Sequence[str]) -> tuple[Voice, ...]:
    """Picks the voices of these names, in the catalogue's order; all of them for no names. Raises OptionError."""
    known = {voice.name for voice in VOICES}
    if unknown := [name for name in names if name not in known]:
        raise OptionError(f"--voices: no voice {', '.join(unknown)} (known: {' '.join(v.name for v in VOICES)})")
    return tuple(voice for voice in VOICES if not names or voice.name in names)


def installed(voices: Sequence[Voice]) -> tuple[Voice, ...]:
    """Picks those of ``voices`` that this computer can speak with."""
    asked = {voice.synthesiser for voice in voices}
    own = {
        "flite": flite.installed() if "flite" in asked else frozenset(),
        "festival": festival.installed() if "festival" in asked else frozenset(),
        "espeak-ng": espeak.installed([v.own_name for v in voices if v.synthesiser == "espeak-ng"]),
    }
    return tuple(voice for voice in voices if voice.own_name in own[voice.synthesiser])
