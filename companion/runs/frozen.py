"""Show a record through its notebook, in this process: what computes is left out.

A page made from a record needs no kernel and no torch. The cells of a chapter that compute carry
the tag ``computes``; what they have yielded is asked of the run by others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import nbformat
from nbformat.v4 import new_code_cell, new_output

from companion.runs.notebooks import number_cells, read_notebook, set_heading
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["COMPUTES", "INJECTED", "ON_TOP", "show", "write"]

#: Tag of the cells that are not executed where a record is shown.
COMPUTES: Final = "computes"
#: Tag of what a page of the site shows above the notebook's cells, in another form.
ON_TOP: Final = "on-top"
#: Tag of the cell with the values of the parameters, as papermill has it.
INJECTED: Final = "injected-parameters"


def show(
    source: Path,
    values: Mapping[str, Any],
    *,
    heading: str | None = None,
    left_out: Collection[str] = (),
) -> nbformat.NotebookNode:
    """Execute the cells of a text notebook that compute nothing.

    Parameters
    ----------
    source : Path
        Text notebook (MyST Markdown).
    values : mapping
        Parameters.
    heading : str, optional
        Replaces the notebook's first heading.
    left_out : collection of str, optional
        Tags of further cells that are not executed.

    Returns
    -------
    NotebookNode
        With outputs; cells that compute have none.

    Raises
    ------
    ThermoError
        If there is no such notebook, or a cell fails; the message names the cell.
    """
    from matplotlib import rc_context

    notebook = read_notebook(source)
    if heading is not None:
        set_heading(notebook, heading)
    _inject(notebook, values)
    number_cells(notebook)
    shell, skipped = _shell(), {COMPUTES, *left_out}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and skipped.isdisjoint(cell.metadata.get("tags", [])):
            with rc_context({"svg.hashsalt": source.stem}):
                cell.outputs = _outputs(shell, cell.source, f"{source.name}, cell {number}")
    return notebook


def write(target: Path, notebook: nbformat.NotebookNode) -> None:
    """Write a notebook that was shown.

    Parameters
    ----------
    target : Path
        The ``.ipynb``; its folder is made.
    notebook : NotebookNode
        As from :func:`show`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, nbformat.writes(notebook) + "\n")


def _inject(notebook: nbformat.NotebookNode, values: Mapping[str, Any]) -> None:
    """Put the values behind the cell of the parameters, as papermill does."""
    for number, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", []):
            lines = [f"{name} = {value!r}" for name, value in values.items()]
            injected = new_code_cell("\n".join(lines))
            injected.metadata["tags"] = [INJECTED]
            notebook.cells.insert(number + 1, injected)
            return


def _shell() -> InteractiveShell:
    """A shell without history, which draws figures as SVG and remembers nothing of another."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.core.pylabtools import select_figure_formats

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    if shell.history_manager is not None:
        shell.history_manager.enabled = False
    shell.colors = "nocolor"
    select_figure_formats(shell, {"svg"}, metadata={"Date": None})
    return shell


def _outputs(shell: InteractiveShell, code: str, where: str) -> list[nbformat.NotebookNode]:
    from IPython.core.displayhook import CapturingDisplayHook
    from IPython.core.displaypub import CapturingDisplayPublisher

    shown: list[dict[str, Any]] = []
    shell.display_trap.hook = CapturingDisplayHook(shell=shell, outputs=shown)
    shell.display_pub = CapturingDisplayPublisher()
    printed = StringIO()
    with redirect_stdout(printed):
        done = shell.run_cell(code, store_history=False, silent=False)
    error = done.error_before_exec or done.error_in_exec
    if isinstance(error, KeyboardInterrupt):
        raise error
    if error is not None:
        raise ThermoError(f"{where} failed: {type(error).__name__}: {error}") from error
    outputs = []
    if printed.getvalue():
        outputs.append(new_output("stream", name="stdout", text=printed.getvalue()))
    outputs += [
        new_output("display_data", data=one["data"], metadata=one["metadata"])
        for one in (*shell.display_pub.outputs, *shown)
    ]
    return outputs
