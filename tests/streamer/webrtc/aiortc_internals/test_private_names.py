"""aiortc's and aioice's private names are used in one folder, and nothing of theirs is replaced for a whole process."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import aioice
import aiortc
import pytest

ROOT = Path(__file__).parents[4]
SEARCHED = ("streamer", "clients/python", "tests/streamer", "benchmarks/live")  # the rest imports neither library
ALLOWED = (
    "streamer/webrtc/aiortc_internals/",
    "tests/streamer/webrtc/aiortc_internals/",  # the tests that guard those names
    "tests/streamer/support/aiortc_peer.py",  # losses of a peer under test
    "benchmarks/live/aiortc_peer.py",  # likewise
)
LIBRARIES = ("aiortc", "aioice")
SETTERS = ("getattr", "setattr", "hasattr", "delattr")
_LIBRARYS = re.compile(rf"({'|'.join(LIBRARIES)})(\.|$)")


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def defined_in(tree: ast.AST) -> set[str]:
    """Private names that a module defines: attributes of ``self``, functions, classes and variables."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
    return {name for name in names if is_private(name)}


def last_of(node: ast.AST) -> str | None:
    """``c`` of ``a.b.c``."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None


def library_trees() -> list[ast.AST]:
    folders = [Path(str(library.__file__)).parent for library in (aiortc, aioice)]
    return [ast.parse(file.read_text()) for folder in folders for file in folder.rglob("*.py")]


OURS = {"_buckets", "_start", "_writer"}
"""Private names of the libraries that our own classes or another library's happen to have, and other modules use."""

TREES = library_trees()
PRIVATE = set().union(*map(defined_in, TREES)) - OURS
BASES: dict[str, list[str]] = {}  # of a class, by name
MEMBERS: dict[str, set[str]] = {}  # private names of a class, by name
for _node in (node for tree in TREES for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
    BASES[_node.name] = [name for base in _node.bases if (name := last_of(base)) is not None]
    MEMBERS[_node.name] = defined_in(_node)
_MANGLED = re.compile(rf"_({'|'.join(sorted(name.lstrip('_') for name in MEMBERS))})__\w*")


def imported_from_libraries(tree: ast.AST) -> set[str]:
    """Names that a module gives to what it imports from aiortc and aioice."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=aliases) if _LIBRARYS.match(module):
                names |= {alias.asname or alias.name for alias in aliases}
            case ast.Import(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases if _LIBRARYS.match(alias.name)}
    return {name.split(".")[0] for name in names}


def root_of(node: ast.AST) -> str | None:
    """``a`` of ``a.b.c``."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def members_of(name: str | None) -> set[str]:
    """Private names of a class of the libraries and of its bases."""
    bases = BASES.get(name or "", [])
    return MEMBERS.get(name or "", set()).union(*map(members_of, bases))


def inherited(tree: ast.AST, imported: set[str]) -> dict[int, set[str]]:
    """For each node inside a class that derives from one of the libraries': the private names that it inherits."""
    found: dict[int, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names = set().union(*(members_of(last_of(base)) for base in node.bases if root_of(base) in imported))
            found |= {id(inner): names for inner in ast.walk(node)}
    return found


def violations(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each use of a private name of the libraries, and of each replacement in one of their modules or
    classes.

    Types are not known here: an attribute counts as the libraries' where they have one of that name and the module
    itself does not, or where its object was imported from them.
    """
    tree = ast.parse(source)
    own, imported = defined_in(tree), imported_from_libraries(tree)
    derived = inherited(tree, imported)
    foreign = PRIVATE - own
    for node in ast.walk(tree):
        wrong = False
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                wrong = name in derived.get(id(node), ())
            case ast.Attribute(attr=name, ctx=ctx):
                of_theirs = root_of(node) in imported
                wrong = name in (PRIVATE if of_theirs else foreign) or bool(_MANGLED.fullmatch(name))
                wrong = wrong or (of_theirs and isinstance(ctx, ast.Store))
            case ast.ImportFrom(module=str(module), names=aliases):
                wrong = bool(_LIBRARYS.match(module)) and any(is_private(alias.name) for alias in aliases)
            case ast.Call(func=ast.Name(id=function), args=[first, ast.Constant(value=str(name)), *_]):
                replaced = function in ("setattr", "delattr") and root_of(first) in imported
                wrong = replaced or (function in SETTERS and name in foreign)
            case ast.Call(func=ast.Attribute(attr="setattr" | "delattr"), args=[ast.Constant(value=str(path)), *_]):
                wrong = bool(_LIBRARYS.match(path))
            case ast.Call(func=ast.Attribute(attr="setattr" | "delattr"), args=[first, *_]):
                wrong = root_of(first) in imported
            case ast.Constant(value=str(text)):
                wrong = bool(_MANGLED.fullmatch(text))
        if wrong:
            yield node.lineno, ast.unparse(node)  # type: ignore[attr-defined]


@pytest.mark.parametrize("folder", SEARCHED)
def test_private_names_of_aiortc_are_used_in_one_folder(folder: str) -> None:
    found = []
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for file in files:
        place = file.relative_to(ROOT).as_posix()
        if not place.startswith(ALLOWED):
            found += [f"{place}:{line}: {text}" for line, text in violations(file.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "codec = transceiver._codecs[0]",
        "ice = next(iter(transports))._connection",
        "sender._RTCRtpSender__encoder = encoder",
        "setattr(sender, '_RTCRtpSender__encoder', encoder)",
        "name = '_RTCRtpSender__' + 'encoder'; prefix = '_RTCRtpReceiver__remote_streams'",
        "setattr(receiver, '_handle_rtp_packet', mine)",
        "handle = getattr(receiver, '_handle_rtcp_packet')",
        "from aiortc import rtcrtpreceiver\nrtcrtpreceiver.get_decoder = mine",
        "from aiortc import rtcrtpreceiver\nsetattr(rtcrtpreceiver, 'get_decoder', mine)",
        "import aiortc.rtcrtpreceiver\naiortc.rtcrtpreceiver.get_decoder = mine",
        "from aiortc.codecs.h264 import H264Encoder\nH264Encoder._packetize([])",
        "from aiortc.codecs.h264 import H264Encoder\nclass Mine(H264Encoder):\n    def f(self):\n"
        "        return self._packetize([])",
        "from aioice.ice import _private",
        "monkeypatch.setattr('aioice.stun.RETRY_MAX', 1)",
        "monkeypatch.setattr(aiortc.rtcrtpreceiver, 'get_decoder', mine)\nimport aiortc",
    ],
)
def test_a_use_elsewhere_is_found(source: str) -> None:
    assert list(violations(source))


@pytest.mark.parametrize(
    "source",
    [
        "class Mine:\n    def __init__(self):\n        self._connection = 1\n    def f(self, other):\n"
        "        return other._connection",
        "self._sender.send(1)",
        "from aiortc import MediaStreamTrack\nclass Mine(MediaStreamTrack):\n    def f(self):\n"
        "        self._start = 1\n        return self._start",
        "from aiortc import RTCPeerConnection\nconnection = RTCPeerConnection()\nconnection.on('track', mine)",
        "from aiortc import RTCRtpSender\nknown = RTCRtpSender.getCapabilities('video').codecs",
        "monkeypatch.setattr('streamer.webrtc.connections.MOST_VIEWERS', 3)",
        "subparsers: argparse._SubParsersAction",
    ],
)
def test_what_is_our_own_or_public_is_not(source: str) -> None:
    assert not list(violations(source))


def test_the_names_are_the_installed_librarys() -> None:
    assert {"_codecs", "_handle_rtp_packet", "_run_rtp", "_check_list", "_nominated", "_packetize"} <= PRIVATE
