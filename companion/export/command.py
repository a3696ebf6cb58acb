"""``thermo export``: what it takes and does."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["TARGET", "add_arguments", "run"]

#: Where the archive goes unless told otherwise.
TARGET = "artifact.zip"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments, all but the folder of the records.

    Parameters
    ----------
    parser : ArgumentParser
    """
    parser.add_argument(
        "records", nargs="*", metavar="RECORD",
        help="chapters (mlp-cifar10) or folders of records (small/mlp-cifar10/seed-1); by default "
        "the records that came with the project",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(TARGET), metavar="PATH",
        help=f"a folder, or a file that ends in .zip (default {TARGET})",
    )  # fmt: skip
    parser.add_argument("--profile", help="only records of this profile")
    parser.add_argument("--all", action="store_true", help="also what was run on this machine")
    parser.add_argument("--force", action="store_true", help="replace an archive that is there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> None:
    """Write the archive and print where it is.

    Parameters
    ----------
    options : Namespace
        What was asked for.

    Raises
    ------
    ThermoError
        As from :func:`companion.export.export`.
    """
    from companion.export import export

    target = export(
        options.results,
        options.output,
        names=options.records,
        profile=options.profile,
        every=options.all,
        force=options.force,
        progress=not options.quiet,
    )
    print(target)
