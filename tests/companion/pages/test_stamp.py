"""A site says which sources it was built from, and another's is refused."""

from __future__ import annotations

import shutil

import pytest

from companion.pages.stamp import STAMP, check_stamp, digest_of_sources, write_stamp
from thermo_utils.errors import ThermoError

FILES = {
    "_config.yml": "title: a",
    "book/index.md": "# A",
    "book/static/a.css": "a {}",
    "companion/pages/a.py": "a = 1",
    "notebooks/mlp.md": "# B",
    "results/small/mlp-cifar10/result.json": "{}",
    "results/small/mlp-cifar10/seed-1/curves.csv": "tau",
}
#: What is made from the sources, or by runs of this machine.
MADE = (
    "book/generated/table1.md", "book/chapters/mlp-cifar10.ipynb", "book/your_model_vision.ipynb",
    "results/demo/mlp-cifar10/result.json", "results/small/.work/mlp.ckpt",
    "companion/pages/__pycache__/a.py", "_build/html/index.html",
)  # fmt: skip


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "clone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "clone"


@pytest.fixture
def site(tmp_path, root):
    (tmp_path / "html").mkdir()
    write_stamp(tmp_path / "html", digest_of_sources(root))
    return tmp_path / "html"


@pytest.mark.parametrize("name", FILES)
def test_a_change_of_any_source_is_noticed(site, root, name):
    check_stamp(site, root)
    (root / name).write_text("changed")
    with pytest.raises(ThermoError, match="other sources"):
        check_stamp(site, root)


@pytest.mark.parametrize("name", FILES)
def test_so_is_a_source_under_another_name(site, root, name):
    path = root / name
    path.rename(path.with_stem("other"))
    with pytest.raises(ThermoError, match="other sources"):
        check_stamp(site, root)


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_is_no_source(site, root, name):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("made")
    check_stamp(site, root)


def test_a_clone_elsewhere_has_the_same_digest(site, root, tmp_path):
    shutil.copytree(root, tmp_path / "copy")
    check_stamp(site, tmp_path / "copy")


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "3", '{"sources": null}'])
def test_a_site_that_does_not_say_is_refused(site, root, text):
    (site / STAMP).unlink()
    if text is not None:
        (site / STAMP).write_text(text)
    with pytest.raises(ThermoError, match="other sources"):
        check_stamp(site, root)
