"""The pages *Your own model*: one notebook, shown on several networks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import nbformat
from nbformat.v4 import new_markdown_cell

from companion.runs.notebooks import number_cells, read_notebook, set_heading

__all__ = ["NOTEBOOK", "PAGES", "YourModel", "not_executed"]

#: The notebook that all of them are made from, in the folder of notebooks.
NOTEBOOK: Final = "your_model"


@dataclass(frozen=True)
class YourModel:
    """One of the pages.

    Attributes
    ----------
    example : str
        Of :mod:`companion.examples`.
    network : str
        What it is, in words.
    options : mapping of str to str
        Other parameters of the notebook.
    """

    example: str
    network: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the page, and of the executed notebook without its ending."""
        return f"{NOTEBOOK}_{self.example}"

    @property
    def title(self) -> str:
        return f"Your own model: {self.network}"

    def command(self, output: str, profile: str = "demo") -> str:
        """The line of shell that makes the page.

        Parameters
        ----------
        output : str
            The executed notebook.
        profile : str
            Whether the data are generated, or those of the chapters.

        Returns
        -------
        str

        Examples
        --------
        >>> YourModel("torchvision", "mine").command("a.ipynb")
        "thermo notebook notebooks/your_model.md -o a.ipynb --heading 'Your own model: mine' \
-p example torchvision"
        """
        values = {"example": self.example, **self.options}
        if profile != "demo":
            values["profile"] = profile
        words = ["thermo", "notebook", f"notebooks/{NOTEBOOK}.md", "-o", output]
        words += ["--heading", self.title]
        for name, value in values.items():
            words += ["-p", name, value]
        return shlex.join(words)


#: All of them by example, in the order of the book.
PAGES: Final[Mapping[str, YourModel]] = {
    page.example: page
    for page in (
        YourModel("torchvision", "a torchvision network"),
        YourModel("hugging_face", "a Hugging Face classifier", {"layers": "Linear:input"}),
        YourModel("language_model", "a language model"),
    )
}


def not_executed(page: YourModel, source: Path, command: str) -> str:
    """What stands for a page that was not executed: its notebook without outputs.

    Parameters
    ----------
    page : YourModel
        Which.
    source : Path
        The text notebook.
    command : str
        The line of shell that executes it.

    Returns
    -------
    str
        A notebook, as JSON.
    """
    notebook = read_notebook(source)
    set_heading(notebook, page.title)
    note = (
        ":::{note}\nThis notebook was not executed where this site was built, so it has no "
        f"outputs. `make book` executes it, and so does\n\n```bash\n{command}\n```\n:::"
    )
    notebook.cells.insert(1, new_markdown_cell(note))
    number_cells(notebook)
    return nbformat.writes(notebook) + "\n"
