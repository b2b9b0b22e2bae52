"""Measures how large an installed environment is, package by package.

    python -m benchmarks.models.installed_size [--python VENV/bin/python] [--top 12]

Sizes are those of the files that each distribution lists, in MB; ``--python`` looks at another environment.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

_CHILD = """
import json, sys
from importlib.metadata import distributions
sizes = {}
for one in distributions():
    files = one.files or []
    sizes[one.metadata["Name"]] = sum(p.stat().st_size for f in files if (p := one.locate_file(f)).is_file())
json.dump({"python": sys.version.split()[0], "sizes": sizes}, sys.stdout)
"""


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment (default: this one)")
    parser.add_argument("--top", type=int, default=12, help="packages to list (default: %(default)s)")
    arguments = parser.parse_args()
    found = json.loads(subprocess.run([arguments.python, "-c", _CHILD], check=True, stdout=subprocess.PIPE).stdout)
    sizes = sorted(found["sizes"].items(), key=lambda one: -one[1])
    for name, size in sizes[: arguments.top]:
        print(f"{name:28} {size / 1e6:8.1f} MB")
    whole = sum(size for _, size in sizes)
    print(f"{f'{len(sizes)} packages':28} {whole / 1e6:8.1f} MB, Python {found['python']}")


if __name__ == "__main__":
    main()
