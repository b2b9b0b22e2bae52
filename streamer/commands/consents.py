"""``mytalk consents``: lists, exports and revokes the consents of a register (``mytalk serve --consents FILE``)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mytalk.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its actions."""
    parser = subparsers.add_parser("consents", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, purpose in (("list", "one line each"), ("export", "all, as JSON"), ("revoke", "refuse its pictures")):
        action = actions.add_parser(name, help=purpose, description=purpose)
        action.add_argument("file", type=Path, metavar="FILE", help="the register")
        if name == "revoke":
            action.add_argument("which", metavar="HASH_OR_WHO", help="hash of a consent or picture, or who gave it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs one action; raises ``InputError``."""
    from streamer.trust.consent import ConsentRegister

    if not args.file.is_file():
        raise InputError(f"{args.file}: no such register (a server makes it: --consents {args.file})")
    register = ConsentRegister(args.file)
    if args.action == "revoke":
        revoked = register.revoke(args.which)
        if revoked == 0:
            raise InputError(f"{args.which}: no such consent that still holds (see mytalk consents list)")
        print(f"revoked {revoked}; their pictures are refused from now on, by running servers too")
    elif args.action == "export":
        print(json.dumps(register.all(), indent=1))
    else:
        for one in register.all():
            until = f" until {one['until']}" if one["until"] else ""
            state = f"revoked {one['revoked']}" if one["revoked"] else f"holds{until}"
            print(f"{one['hash'][:12]}  {one['given']}  {one['who']}: {one['purpose']} ({state})")
    return 0
