"""Holds the subcommands of ``mytalk``: each module has ``add_parser(subparsers)`` and ``run(args) -> int``."""
