"""``mytalk keys``: makes, lists and revokes API keys, which ``mytalk serve --keys FILE`` reads as hashes from a file.

A running server takes changes over at once. A key is shown when it is made and never again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mytalk.errors import OptionError
from streamer.auth.api_keys import SCOPES, make_key, read_keys, write_keys


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its three actions."""
    parser = subparsers.add_parser("keys", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|list|revoke")
    add = actions.add_parser("add", help="make a key and show it, once")
    add.add_argument("--name", required=True, help="whose or what for; shown by 'list'")
    add.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        help="publish: make sessions (default); view: watch any; metrics: read /metrics; admin: everything. Repeatable",
    )
    limits = (("sessions", "at a time"), ("seconds", "of sessions within a day"), ("requests", "a minute"))
    for name, what in limits:
        add.add_argument(f"--{name}", type=int, default=0, metavar="N", help=f"{name} {what} (default: no limit)")
    listing = actions.add_parser("list", help="show the keys, without their secrets")
    revoke = actions.add_parser("revoke", help="take a key out; its sessions end")
    for action in (add, listing, revoke):
        action.add_argument("file", type=Path, help="file of the keys")
    revoke.add_argument("id", help="as 'list' shows it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Adds, lists or revokes a key; raises ``OptionError`` for an unknown key or an unusable file."""
    path: Path = args.file
    if args.action == "add":
        keys = read_keys(path) if path.exists() else {}
        key, text = make_key(args.name, args.scope or ["publish"], args.sessions, args.seconds, args.requests)
        write_keys(path, [*keys.values(), key])
        print(text)
        return 0
    keys = read_keys(path)
    if args.action == "list":
        for key in keys.values():
            limits = f"sessions {key.sessions or '-'}, seconds {key.seconds or '-'}, requests {key.requests or '-'}"
            print(f"{key.id}  {key.name}  {','.join(key.scopes)}  {limits}  {key.created}")
        return 0
    if args.id not in keys:
        raise OptionError(f"{path} holds no key {args.id} (see 'mytalk keys list {path}')")
    write_keys(path, [key for key in keys.values() if key.id != args.id])
    return 0
