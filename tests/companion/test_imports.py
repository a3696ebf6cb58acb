"""Imports without collecting: the collector is as before, and chapters have what they need."""

from __future__ import annotations

import gc
import subprocess
import sys

import nbformat
import pytest

from companion.imports import uncollected
from companion.runs import notebooks
from companion.runs.notebooks import execute


@pytest.fixture(params=[True, False], ids=["collecting", "not collecting"])
def before(request):
    was = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if was else gc.disable)()


def test_as_it_was_before(before):
    with uncollected(), uncollected():
        assert not gc.isenabled()
    assert gc.isenabled() is before
    with pytest.raises(KeyError), uncollected():
        raise KeyError
    assert gc.isenabled() is before


def test_what_was_imported_is_not_looked_through_again():
    code = """
import gc, sys
from companion.imports import uncollected
with uncollected():
    pass
print(gc.get_freeze_count())
with uncollected():
    import decimal, fractions, sqlite3
print(gc.get_freeze_count())
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    nothing, something = map(int, found.stdout.split())
    assert nothing == 0
    assert something > 1000


def test_a_kernel_ends_when_what_came_after_it_has(tmp_path):
    """What cells leave to be done is done; the objects are not taken apart."""
    code = """
import atexit, weakref
atexit.register(print, "before")
import companion.kernel
class Kept: pass
kept = Kept()
weakref.finalize(kept, print, "finalized")
atexit.register(print, "after")
class Slow:
    def __del__(self): print("taken apart")
slow = Slow()
slow.itself = slow
print("done", end=" ")
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["done", "after", "finalized"]
    source = tmp_path / "writes.md"
    cell = (
        f"import atexit, pathlib\n\nfile = open({str(tmp_path / 'open.txt')!r}, 'w')\n"
        f"file.write('written')\natexit.register(file.close)\nprint('said')"
    )
    source.write_text(f"# Writes\n\n```{{code-cell}} python\n{cell}\n```\n")
    target = execute(source, tmp_path / "out.ipynb", {}, progress=False)
    assert (tmp_path / "open.txt").read_text() == "written"
    (cell,) = [c for c in nbformat.read(target, 4).cells if c.cell_type == "code"]
    assert cell.outputs[0].text.strip() == "said"


def test_a_kernel_collects_once_it_is_there():
    code = "import companion.kernel, gc, sys; print(gc.isenabled(), 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "True"]


def test_chapters_need_what_the_kernel_has_before_their_first_cell(tmp_path):
    source = tmp_path / "asks.md"
    cell = "import sys\n\nprint({'torch', 'companion.kernel'} <= set(sys.modules), dir())"
    source.write_text(f"# Asks\n\n```{{code-cell}} python\n{cell}\n```\n")
    target = execute(source, tmp_path / "out.ipynb", {}, progress=False)
    (cell,) = [c for c in nbformat.read(target, 4).cells if c.cell_type == "code"]
    said = "".join(output.text for output in cell.outputs)
    assert said.startswith("True")
    assert "companion" not in said  # nothing is left in the reader's way


def test_what_the_kernel_imports_chapters_import():
    """Otherwise it would be time lost."""
    for path in notebooks.notebook_path("mlp").parent.glob("*.md"):
        text = path.read_text()
        for name in ("import torch", "from companion.data", "from companion.pages.chapter"):
            assert name in text or path.stem == "your_model"
