"""The ``thermo`` command."""

from __future__ import annotations

import argparse
import ast
import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from companion.analysis.command import add_arguments
from companion.analysis.command import run as run_analysis
from companion.export import command as export_command
from companion.imports import uncollected
from companion.interrupts import INTERRUPTED, MESSAGE, end_on_signals
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    from companion.runs.records import Record
    from companion.runs.run import Run

__all__ = ["main"]

#: Where records go unless told otherwise.
RESULTS = Path("results")
REFUSED = 2


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line on standard error."""

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``thermo``; those of the process by default.

    Returns
    -------
    int
        Exit code: 0, 2 for a request that cannot be met, 130 when interrupted.
    """
    if arguments is None:  # the process is this command's own
        end_on_signals()
    if sys.stderr is None:  # closed
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        return _refuse("standard output is closed: send it to /dev/null if nobody reads it")
    if isinstance(sys.stdout, io.TextIOWrapper):  # names are shown in any locale
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    # Kernels inherit it: libraries look for widgets to draw bars with, and do without.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")
    try:
        options.function(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _drop_output()
    except ModuleNotFoundError as error:
        return _refuse(f"{error.name} is not installed: pip install -e '.[book]' in the clone")
    except UnicodeEncodeError as error:
        return _refuse(
            f"{error.object!a} cannot be written as {error.encoding}: "
            "take other names, or a locale such as C.UTF-8"
        )
    except (ThermoError, OSError) as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print(MESSAGE, file=sys.stderr)
        return INTERRUPTED
    return 0


def _refuse(message: str) -> int:
    try:
        sys.stdout.flush()
    except (AttributeError, OSError):  # closed, or on a disk that is full
        _drop_output()
    print(f"thermo: {' '.join(message.split())}", file=sys.stderr)
    return REFUSED


def _drop_output() -> None:
    """Send what is still to be printed nowhere, so that the end of the process is silent."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> _Parser:
    parser = _Parser(
        prog="thermo", description="Free energies of neural activations, chapter by chapter."
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    listing = verbs.add_parser("chapters", help="list the chapters and their results")
    listing.add_argument("--results", type=_folder, default=RESULTS, help="folder of the records")
    listing.set_defaults(function=_chapters)

    check = verbs.add_parser(
        "check",
        help="look at every record, table of variants and benchmark",
        description="Name every record, table of variants and benchmark that is damaged.",
    )
    check.add_argument("--results", type=_folder, default=RESULTS, help="folder of the records")
    check.add_argument(
        "--derive",
        action="store_true",
        help="first write anew what records derive from their curves: features, thresholds, match",
    )
    check.set_defaults(function=_check)

    run = verbs.add_parser(
        "run", help="run one chapter", description="Run one chapter: record, figures, notebook."
    )
    _add_run(run)
    run.add_argument("--force", action="store_true", help="compute again what is there already")
    run.add_argument(
        "--frozen", action="store_true", help="show the record as it is, compute nothing"
    )
    run.add_argument("--quiet", action="store_true", help="no progress bars")
    run.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="change a setting, such as -p epochs 3 (repeatable)",
    )  # fmt: skip
    run.set_defaults(function=_run)

    variants = verbs.add_parser(
        "variants",
        help="how far the paper's open choices move a chapter's threshold",
        description="Take the paper's open choices differently, one at a time, on one network.",
    )
    _add_run(variants)
    variants.add_argument(
        "--full-examples", type=int, default=1000, metavar="N",
        help="test examples for the full evaluation (default 1000; 0 leaves it out)",
    )  # fmt: skip
    variants.add_argument("--force", action="store_true", help="replace a table that is there")
    variants.set_defaults(function=_variants)

    scale = verbs.add_parser(
        "scale",
        help="what a chapter's free energy says in other units",
        description="Rescale a chapter's network, and prune it in units of each layer's mean.",
    )
    _add_run(scale)
    scale.add_argument(
        "--examples", type=int, default=3000, metavar="N", help="test examples (default 3000)"
    )
    scale.add_argument("--force", action="store_true", help="replace curves that are there")
    scale.add_argument("--quiet", action="store_true", help="no progress bars")
    scale.set_defaults(function=_scale)

    book = verbs.add_parser(
        "book",
        help="build the site",
        description="Build the site: the records that came with it, and what was run here.",
    )
    book.add_argument(
        "--results", type=_folder, default=RESULTS, help="folder of what was run here"
    )
    book.add_argument("--jobs", type=_count, default=2, help="processes (default 2)")
    book.set_defaults(function=_book)

    export = verbs.add_parser(
        "export",
        help="records, notebooks, code and pins as one archive",
        description="Pack records with their provenance, as a Workflow Run RO-Crate.",
    )
    export_command.add_arguments(export)
    export.add_argument("--results", type=_folder, default=RESULTS, help="folder of the records")
    export.set_defaults(function=export_command.run)

    notebook = verbs.add_parser("notebook", help="execute a text notebook, such as your_model.md")
    notebook.add_argument("notebook", type=Path, help="text notebook (MyST Markdown)")
    notebook.add_argument("-o", "--output", type=Path, help="executed notebook (default: beside)")
    notebook.add_argument("--heading", help="in the place of the notebook's own")
    notebook.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="set a parameter of the notebook (repeatable)",
    )  # fmt: skip
    notebook.add_argument("--quiet", action="store_true", help="no progress bars")
    notebook.set_defaults(function=_notebook)

    analyze = verbs.add_parser(
        "analyze",
        help="free energies of your own model and data",
        description="Free energies and critical thresholds of your own model and data.",
    )
    add_arguments(analyze)
    analyze.set_defaults(function=run_analysis)
    return parser


def _folder(word: str) -> Path:
    """A folder that can be looked into, or one that is not there yet."""
    path = Path(word)
    try:
        os.listdir(path)
    except FileNotFoundError:
        pass
    except OSError as error:  # a file, or none of the user's business
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}; name another folder") from None
    return path


def _count(word: str) -> int:
    """A number of processes."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of processes")
    return int(word)


def _add_run(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which run is meant."""
    parser.add_argument("model", help="mlp, cnn, resnet18, mobilenet_v2, vit, lstm, bert, ...")
    parser.add_argument("dataset", help="cifar10, flowers102, ag_news or yelp")
    parser.add_argument("--profile", default="demo", help="demo (default), small or paper")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    parser.add_argument("--results", type=_folder, default=RESULTS, help="folder of the records")


def _chapters(options: argparse.Namespace) -> None:
    from companion.data.specs import DATASETS
    from companion.runs.chapters import ADDED, CHAPTERS
    from companion.runs.records import examined, other_runs
    from companion.runs.settings import PROFILES

    width = 12
    heads = "".join(f"{profile:>{width}}" for profile in PROFILES)
    lines = [f"{'figure':>6}  {'chapter':24} {'dataset':18}{heads}"]
    damaged: list[str] = []
    for chapter in (*CHAPTERS, *ADDED):
        state = []
        for profile in PROFILES:
            found, bad = examined(options.results, profile, chapter.name)
            seeds = ",".join(str(record.result["seed"]) for record in found)
            mark = f"seed {seeds}" if seeds else "damaged" if bad else "-"
            state.append(f"{mark:>{width}}")
            damaged += bad
        name = f"{chapter.model} {chapter.dataset}"
        title = DATASETS[chapter.dataset].title
        lines.append(f"{chapter.figure or '-':>6}  {name:24} {title:18}{''.join(state)}")
    names = [chapter.name for chapter in (*CHAPTERS, *ADDED)]
    others: list[str] = []
    for profile in PROFILES:
        found, bad = other_runs(options.results, profile, names)
        others += [_other_run(record) for record in found]
        damaged += bad
    if others:
        lines += ["", "runs with other settings, and of other networks:", *others]
    print("\n".join([*lines, *damaged]))


def _other_run(record: Record) -> str:
    from companion.runs.schema import printable

    result = record.result
    what = f"{result['model']} {result['dataset']}, {result['profile']}, seed {result['seed']}"
    differs = "; ".join(result["differs"]) or "nothing differs"
    return f"  {record.folder}: {printable([f'{what}; {differs}'])}"


def _check(options: argparse.Namespace) -> None:
    from companion.pages.check import check

    if options.derive:
        from companion.runs.derived import derive_all

        for folder in derive_all(options.results):
            print(f"{folder}: derived anew")
    count, bad = check(options.results)
    if bad:
        print("\n".join(bad))
        raise ThermoError(f"{len(bad)} of {count} files in {options.results} are damaged")
    print(f"{count} files in {options.results}: all good")


def _run(options: argparse.Namespace) -> None:
    # A page is made in seconds, a tenth of which would go to collecting.
    with uncollected() if options.frozen else nullcontext():
        _run_chapter(options)


def _run_chapter(options: argparse.Namespace) -> None:
    overrides = _overrides(options.parameter)
    for name in ("dataset", "profile", "seed", "results", "force", "frozen"):
        if name in overrides:
            raise ThermoError(f"set {name} by its own argument, not by -p (see thermo run --help)")
    if options.frozen and options.force:
        raise ThermoError("--frozen computes nothing and --force everything: take one of them")
    # Mistakes are found before anything is written, and most before the slow imports.
    run = _prepared(options, overrides, force=options.force, frozen=options.frozen)
    if not options.frozen:
        run.check_sources()
    from companion.runs.chapters import chapter
    from companion.runs.notebooks import EXECUTED, notebook_path

    values: dict[str, Any] = {
        "dataset": options.dataset,
        "profile": options.profile,
        "seed": options.seed,
        "results": str(options.results),
        "force": options.force,
        "frozen": options.frozen,
        "overrides": overrides,
    }
    about = chapter(options.model, options.dataset)
    source, target = notebook_path(options.model), run.folder / EXECUTED
    if options.frozen:
        from companion.runs.frozen import show, write

        write(target, show(source, values, heading=about.title))
    else:
        from companion.runs.notebooks import execute

        progress = not options.quiet
        execute(source, target, values, heading=about.title, progress=progress)
    print(f"{about.title}: {run.folder}")


def _variants(options: argparse.Namespace) -> None:
    run = _prepared(options, {}, force=False)
    run.check_sources()
    from companion.runs.experiment import experiment
    from companion.runs.variants import check_absent, check_examples, write_variants

    check_examples(options.full_examples)
    if not options.force:
        check_absent(run.folder)
    print(write_variants(experiment(run), full_examples=options.full_examples))


def _scale(options: argparse.Namespace) -> None:
    run = _prepared(options, {}, force=False)
    run.check_sources()
    from companion.runs.experiment import experiment
    from companion.runs.scale import check_absent, check_examples, write_scale

    check_examples(options.examples)
    if not options.force:
        check_absent(run.folder)
    progress = not options.quiet
    trained = experiment(run, progress=progress)
    print(write_scale(trained, examples=options.examples, progress=progress))


def _prepared(
    options: argparse.Namespace, overrides: dict[str, Any], *, force: bool, frozen: bool = False
) -> Run:
    """The run that is meant, if it may be started."""
    from companion.runs.settings import settings

    s = settings(options.model, options.dataset, options.profile, options.seed, **overrides)
    from companion.runs.run import Run, check_results

    check_results(options.results)
    return Run(s, options.results, force=force, frozen=frozen)


def _notebook(options: argparse.Namespace) -> None:
    from companion.runs.notebooks import execute

    target = options.output or options.notebook.with_suffix(".ipynb")
    values = _overrides(options.parameter)
    progress = not options.quiet
    execute(options.notebook, target, values, heading=options.heading, progress=progress)
    print(target)


def _overrides(pairs: list[list[str]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in pairs:
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            # A truth value as other languages write it, or a string, which may be what is wanted.
            values[name] = {"true": True, "false": False}.get(text, text)
    return values


def _book(options: argparse.Namespace) -> None:
    from companion.pages.site import build

    print(build(options.results, jobs=options.jobs))


if __name__ == "__main__":
    sys.exit(main())
