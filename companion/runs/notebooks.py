"""Run a chapter's notebook: text notebook in, executed notebook out, or one clear error."""

from __future__ import annotations

import ast
import logging
import os
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from companion.interrupts import scratch_folder
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.files import write_atomically

__all__ = [
    "EXECUTED", "execute", "notebook_path", "number_cells", "parameters", "read_notebook",
    "set_heading",
]  # fmt: skip

#: Name of the executed notebook in a record's folder.
EXECUTED = "chapter.ipynb"
#: The same of a run that failed, kept for a look at the cells before the error.
FAILED = "failed.ipynb"
#: A kernel is interrupted before it is ended, which it may remark on; errors of cells are no logs.
QUIET = ["--IPKernelApp.log_level=50"]
#: Imports that every chapter needs come before its first cell.
READY = ["--IPKernelApp.exec_lines=__import__('companion.kernel')"]
#: Seconds until a kernel must be there: a machine may read PyTorch for the first time.
PATIENCE = 600
#: Figures are drawn as they are shown, sharp at any size.
FIGURES = ["--InlineBackend.figure_formats=svg"]
#: Longest folder for the sockets of a kernel; systems allow their paths about 100 bytes.
SOCKET_FOLDER = 80


def notebook_path(model: str) -> Path:
    """The text notebook of a model.

    Parameters
    ----------
    model : str
        Short name.

    Returns
    -------
    Path

    Raises
    ------
    ThermoError
        If the notebooks are not where the package was installed from.
    """
    path = Path(__file__).resolve().parents[2] / "notebooks" / f"{model}.md"
    if not path.exists():
        raise ThermoError(
            f"no notebook {path}: install the package from a clone with pip install -e ."
        )
    return path


def parameters(notebook: nbformat.NotebookNode) -> set[str]:
    """Names that a notebook's parameters cell assigns.

    Parameters
    ----------
    notebook : NotebookNode
        With one code cell tagged ``parameters``.

    Returns
    -------
    set of str
    """
    names = set()
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            for statement in ast.parse(cell.source).body:
                if isinstance(statement, ast.Assign):
                    names |= {t.id for t in statement.targets if isinstance(t, ast.Name)}
                elif isinstance(statement, ast.AnnAssign) and isinstance(
                    statement.target, ast.Name
                ):
                    names.add(statement.target.id)
    return names


def execute(
    source: Path,
    target: Path,
    values: dict[str, Any],
    *,
    heading: str | None = None,
    progress: bool = True,
) -> Path:
    """Execute a text notebook with papermill.

    Parameters
    ----------
    source : Path
        Text notebook (MyST Markdown).
    target : Path
        The executed notebook (``.ipynb``). It appears when all of the notebook ran; on failure
        what ran is in `FAILED` beside it.
    values : dict
        Parameters.
    heading : str, optional
        Replaces the notebook's first heading.
    progress : bool, default True
        Show papermill's bar and the notebook's own.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    ThermoError
        If the notebook or one of the parameters does not exist, the notebook would be overwritten,
        its kernel dies, or a cell fails; the message names the cell.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    if target.absolute() == source.absolute():
        raise ThermoError(f"{source} would be overwritten: name another output with -o")
    notebook = read_notebook(source)
    known = parameters(notebook)
    for name in values:
        if name not in known:
            raise unknown("parameter", name, sorted(known))
    if heading is not None:
        set_heading(notebook, heading)
    target.parent.mkdir(parents=True, exist_ok=True)
    failed = target.with_name(FAILED)
    # What papermill logs is said once more in the error below.
    logging.getLogger("papermill").addHandler(logging.NullHandler())
    with scratch_folder() as scratch:
        prepared, executed = Path(scratch, "in.ipynb"), Path(scratch, "out.ipynb")
        jupytext.write(notebook, prepared)
        try:
            papermill.execute_notebook(
                str(prepared),
                str(executed),
                parameters=values,
                kernel_name="python3",
                start_timeout=PATIENCE,
                language="python",
                progress_bar=progress,
                stderr_file=sys.stderr if progress else None,
                config=Config(
                    {
                        "KernelManager": _transport(scratch),
                        "NotebookClient": {"extra_arguments": [*QUIET, *READY, *FIGURES]},
                    }
                ),
            )
        except DeadKernelError as error:
            raise ThermoError(
                f"the kernel of {source.name} died, most likely for lack of memory: free some, or "
                "take smaller settings; the same command goes on from the last finished step"
            ) from error
        except PapermillExecutionError as error:
            _move(executed, failed)
            first = next((line for line in error.source.splitlines() if line.strip()), "")
            raise ThermoError(
                f"{source.name} failed in cell {error.cell_index} ({first.strip()!r}): "
                f"{error.ename}: {error.evalue} (what ran is in {failed})"
            ) from error
        _tidy(executed, source)
        _move(executed, target)
    failed.unlink(missing_ok=True)
    return target


def read_notebook(source: Path) -> nbformat.NotebookNode:
    """Read a text notebook.

    Parameters
    ----------
    source : Path
        MyST Markdown.

    Returns
    -------
    NotebookNode

    Raises
    ------
    ThermoError
        If there is none, or it is no notebook.
    """
    if not source.is_file():
        raise ThermoError(f"there is no notebook {source}")
    try:
        return jupytext.read(source)
    except ValueError as error:  # of jupytext, nbformat, json and Unicode alike
        raise ThermoError(f"{source} is no notebook: {error}") from error


def _transport(scratch: str) -> dict[str, str]:
    """Where a kernel listens: sockets in a folder of this run alone, if paths may be that long.

    Without a folder of their own, kernels started at the same moment take each other's sockets.
    The file that names the sockets lies there too, and goes when the run goes.
    """
    file = {"connection_file": str(Path(scratch, "kernel.json"))}
    if len(os.fsencode(scratch)) > SOCKET_FOLDER:
        return {"transport": "tcp", **file}
    return {"transport": "ipc", "ip": str(Path(scratch, "kernel")), **file}


def set_heading(notebook: nbformat.NotebookNode, heading: str) -> None:
    """Replace a notebook's first heading.

    Parameters
    ----------
    notebook : NotebookNode
        Changed in place.
    heading : str
        Of one line, without the mark of a heading.
    """
    first = notebook.cells[0]
    lines = first.source.splitlines()
    lines[0] = f"# {heading}"
    first.source = "\n".join(lines)


def number_cells(notebook: nbformat.NotebookNode) -> None:
    """Name cells by their places, so that the same notebook has the same bytes.

    Parameters
    ----------
    notebook : NotebookNode
        Changed in place.
    """
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"


def _tidy(path: Path, source: Path) -> None:
    """Drop bars that have run to their end, on standard error, and paths of this machine."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.papermill.update(input_path=source.name, output_path=None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    nbformat.write(notebook, path)


def _move(source: Path, target: Path) -> None:
    """Move across file systems so that the target is whole or absent."""
    write_atomically(target, source.read_bytes())
