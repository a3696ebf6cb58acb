"""Try all kinds and write what came of it: ``python -m benchmarks.kinds [NAME ...]``."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.kinds import KINDS, tried
from thermo_utils.files import write_atomically

FILE = Path("results", "kinds.json")
PACKAGES = ("torch", "torchvision", "transformers", "torchmetrics")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kinds", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(KINDS)}")
    given = parser.parse_args()
    if strange := [name for name in given.names if name not in KINDS]:
        parser.error(f"no kind {strange[0]}")
    found: dict[str, Any] = {}
    if given.names:
        for name in given.names:
            print(name, json.dumps(tried(KINDS[name]), indent=1))
        return
    for name in tqdm(KINDS, unit="kind"):
        found[name] = tried(KINDS[name])
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    facts = {"versions": {"python": platform.python_version(), **versions}, "kinds": found}
    write_atomically(FILE, json.dumps(facts, indent=1) + "\n")
    works = sum(kind["outcome"] == "works" for kind in found.values())
    print(f"{FILE}: {works} of {len(found)} work, the others are refused")


if __name__ == "__main__":
    main()
