"""``thermo analyze`` on Python objects: what it writes, and what it says of mistakes."""

from __future__ import annotations

import base64
import contextlib
import importlib.metadata
import io
import re
import runpy
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import torch

from companion import cli
from companion.analysis.references import load_object
from companion.analysis.request import CHECKPOINT, PRODUCTS
from tests.companion.analysis.own_file import OWN
from thermo_utils import ActivationPruner, full_evaluation, renormalized
from thermo_utils.saving import load_safe

CHROMIUM = shutil.which("chromium")
#: What is written without options.
PLAIN = ["curves.csv", "figure.png", "layers.csv", "per_class.csv", "report.html", "safe.json"]
GRID = ("--tau-step", "0.1", "--tau-max", "0.8")


def curves(folder):
    return dict(list(pd.read_csv(folder / "curves.csv").groupby("method")))


@pytest.mark.slow  # torchmetrics takes seconds to import
@pytest.mark.usefixtures("undrawn")
def test_an_object_of_torchmetrics(own, analyze, here):
    (here / "judge.py").write_text(
        "from torchmetrics.classification import MulticlassAccuracy\n"
        "accuracy = MulticlassAccuracy(num_classes=3, average='micro')\n"
    )
    words = (f"{own}:network", f"{own}:batches", *GRID)
    done = analyze(*words, "--metric", "judge.py:accuracy")
    assert done.code == 0, done.err
    judged = curves(done.folder)["full"]["multiclass_accuracy"]
    plain = curves(analyze(*words, "--force").folder)["full"]["accuracy"]
    np.testing.assert_allclose(judged, plain, rtol=1e-6)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """An analysis with all its figures: what it printed, and its folder."""
    folder = tmp_path_factory.mktemp("drawn")
    name = f"drawn_{abs(hash(folder))}"
    (folder / f"{name}.py").write_text(OWN)
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.chdir(folder)
        words = [f"{name}.py:network", f"{name}.py:batches", "--per-layer", "--quiet", "-o", "out"]
        assert cli.main(["analyze", *words]) == 0
    return said.getvalue(), folder / "out"


def test_what_is_printed(drawn):
    said, folder = drawn
    assert said.count("running the file") == 1
    assert "pruned: 1, 3\n" in said
    found = re.search(r"^accuracy: tau\* = (\S+), .*not told from (\S+) (to|and)", said, re.M)
    assert float(found[2]) <= float(found[1])
    assert f"{load_safe(folder / 'safe.json').tau:.4g}" in said


def test_what_is_written(drawn):
    names = sorted(path.name for path in drawn[1].iterdir())
    assert names == sorted([*PLAIN, "per_layer.csv", "per_layer.png"]) == sorted(PRODUCTS)


@pytest.mark.usefixtures("undrawn")
def test_the_curves_are_those_of_the_library(own, analyze):
    done = analyze(f"{own}:network", f"{own}:batches", *GRID)
    network, batches = load_object(f"{own}:network"), load_object(f"{own}:batches")
    written = curves(done.folder)
    layers = ["1", "3"]
    fast = renormalized(network, batches, layers, written["renormalized"]["tau"], progress=False)
    slow = full_evaluation(network, batches, layers, written["full"]["tau"], progress=False)
    np.testing.assert_allclose(written["renormalized"]["free_energy"], fast["free_energy"])
    for column in ("active", "free_energy", "accuracy", "lost"):
        np.testing.assert_allclose(written["full"][column], slow[column])


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("data", ["stream", "loader", "dataset", "generator"])
def test_data_in_other_forms(own, analyze, data):
    words = (f"{own}:make", f"{own}:{data}", "--batch-size", 30, *GRID)
    found = curves(analyze(*words, output=data).folder)
    expected = curves(analyze(f"{own}:network", f"{own}:batches", *GRID).folder)
    for method in ("full", "renormalized"):
        pd.testing.assert_frame_equal(found[method], expected[method])


@pytest.mark.usefixtures("undrawn")
def test_layers_and_grids_and_one_pass_alone(own, analyze):
    module = own.removesuffix(".py")
    done = analyze(
        f"{module}:make", f"{own}:unlabelled", "--layers", "0", "ReLU", "2:input",
        "--tau-step", "0.1", "--tau-max", "1", "--rfe-only",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert re.search("^pruned: (.*)$", done.out, re.M)[1].split(", ") == ["0", "1", "2:input", "3"]
    (curve,) = curves(done.folder).values()
    assert len(curve) == 100 + 160  # the grid, and five octaves beyond it
    assert sorted(path.name for path in done.folder.iterdir()) == [
        "curves.csv", "figure.png", "layers.csv", "report.html",
    ]  # fmt: skip
    table = pd.read_csv(done.folder / "layers.csv").set_index("layer")
    assert table.loc["2:input", "kind"] == "input of Linear"
    assert table.loc["1", ["kind", "shape", "size"]].tolist() == ["ReLU", "32", "2880"] or (
        table.loc["1", "size"] == 90 * 32
    )


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], {"relu()": "relu()", "relu()#2": "relu()"}),
        (["relu()"], {"relu()": "relu()", "relu()#2": "relu()"}),
        (
            ["relu()", "l*:input", "Linear"],
            {"first": "Linear", "last": "Linear", "last:input": "input of Linear",
             "relu()": "relu()", "relu()#2": "relu()"},
        ),
    ],
)  # fmt: skip
def test_calls_of_functions_and_inputs(own, analyze, layers, expected):
    words = (f"{own}:functional", f"{own}:batches", *GRID, "--rfe-only")
    done = analyze(*words, *(["--layers", *layers] if layers else []))
    assert done.code == 0, done.err
    table = pd.read_csv(done.folder / "layers.csv")
    assert dict(zip(table["layer"], table["kind"], strict=True)) == expected


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("data", ["batches", "endless", "dataset", "loader"])
def test_a_limit(own, analyze, data):
    words = (f"{own}:network", f"{own}:{data}", "--limit", "40", "--batch-size", "7", *GRID)
    table = pd.read_csv(analyze(*words).folder / "layers.csv")
    assert table["size"].tolist() == [40 * 32, 40 * 32]


@pytest.mark.usefixtures("undrawn")
def test_layer_by_layer(own, analyze):
    done = analyze(f"{own}:network", f"{own}:batches", "--per-layer", *GRID)
    assert {"per_layer.csv", "per_layer.png"} <= {path.name for path in done.folder.iterdir()}
    each = pd.read_csv(done.folder / "per_layer.csv")
    whole = curves(done.folder)["renormalized"]
    assert list(each["layer"].unique()) == [1, 3]
    summed = each.groupby("tau", as_index=False)["active"].sum()
    np.testing.assert_array_equal(summed["active"], whole["active"])
    assert done.folder.joinpath("report.html").read_text().count("<img") == 2


@pytest.mark.usefixtures("undrawn")
def test_what_each_class_loses(own, analyze):
    done = analyze(f"{own}:network", f"{own}:batches", *GRID)
    each = pd.read_csv(done.folder / "per_class.csv")
    mean = curves(done.folder)["full"].set_index("tau")["accuracy"]
    weighted = (each["accuracy"] * each["examples"]).groupby(each["tau"]).sum() / 90
    np.testing.assert_allclose(weighted, mean)


@pytest.mark.usefixtures("undrawn")
def test_metrics(own, analyze):
    words = (f"{own}:network", f"{own}:batches", *GRID)
    plain = curves(analyze(*words).folder)["full"]["accuracy"]
    metric = ("--metric", f"{own}:share_right", "--better", "higher")
    done = analyze(*words, *metric, "--force", "--max-drop", "0.2", "--relative")
    np.testing.assert_allclose(curves(done.folder)["full"]["share_right"], plain)
    safe = load_safe(done.folder / "safe.json")
    assert (safe.metric, safe.higher_is_better) == ("share_right", True)
    assert 0 < safe.drop <= 0.2 * safe.baseline
    done = analyze(*words, "--metric", f"{own}:share_right", "--force")
    assert done.code == 2
    assert "--better" in done.err


def test_the_report_needs_nothing_else(drawn):
    html = drawn[1].joinpath("report.html").read_text()
    assert "http:" not in html.replace("http-equiv", "")
    assert "https:" not in html
    sources = re.findall(r'\bsrc="([^"]*)"', html)
    assert len(sources) == 2
    for source in sources:
        head, _, coded = source.partition(",")
        assert head == "data:image/svg+xml;base64"
        image = base64.b64decode(coded).decode()
        assert image.startswith("<?xml")
        assert not re.search(r'href="(?!#|data:)', image)
    assert not re.search(r"<(script|link|iframe|object)\b|\burl\(|@import", html)
    assert re.findall(r'href="', html) == []


def test_the_report_says_what_was_measured(drawn):
    folder = drawn[1]
    html = (folder / "report.html").read_text()
    safe = load_safe(folder / "safe.json")
    text = " ".join(re.sub("<[^>]*>", " ", html).split())
    assert f"Pruning below τ = {safe.tau:.4g} removes {100 * safe.beta:.1f} %" in text
    assert "100.00 % unpruned (allowed: worse by 1 point)" in text
    assert (safe.passes["tau"] == safe.tau).sum() == 1
    assert 'class="chosen"' in html
    table = pd.read_csv(folder / "layers.csv")
    for share, zeros, size in zip(table["share"], table["zeros"], table["size"], strict=True):
        assert f"{100 * share:.1f} %" in text
        assert f"{100 * zeros / size:.1f} %" in text
    classes = pd.read_csv(folder / "per_class.csv")
    assert classes["class"].nunique() == 3
    assert text.count(" 100.0 % ") >= 3  # unpruned, every class is right
    full, fast = (len(curves(folder)[method]) for method in ("full", "renormalized"))
    assert f"chosen from the activations: {full} thresholds for FE, {fast} for RFE" in text
    assert f"torch {importlib.metadata.version('torch')}" in text


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [360, 1200])
def test_the_report_fits_a_phone_and_a_desktop(drawn, tmp_path, width):
    page = tmp_path / "frame.html"
    page.write_text(f"""<!doctype html>
<iframe id="f" src="{(drawn[1] / "report.html").as_uri()}" style="width: {width}px"></iframe>
<pre id="seen"></pre>
<script>f.onload = () => {{
  const page = f.contentDocument, root = page.documentElement;
  const drawn = [...page.images].map(image => image.naturalWidth > 0);
  seen.textContent = JSON.stringify([root.scrollWidth <= root.clientWidth, ...drawn]);
}}</script>""")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
        "--allow-file-access-from-files", "--virtual-time-budget=3000", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert '<pre id="seen">[true,true,true]</pre>' in done.stdout


@pytest.mark.usefixtures("undrawn")
def test_what_is_kept_is_pruned(own, analyze):
    done = analyze(f"{own}:network", f"{own}:batches", "--keep", "deep/pruned.pt")
    assert done.code == 0, done.err
    network, points = load_object(f"{own}:network"), load_object(f"{own}:points")
    from thermo_utils import unprune

    unprune(network)
    safe = load_safe("deep/pruned.json")
    assert safe.tau > 0
    loaded = torch.load("deep/pruned.pt", weights_only=False)
    with torch.no_grad(), ActivationPruner(network, ["1", "3"], safe.tau):
        expected = network(points)
    with torch.no_grad():
        assert torch.equal(loaded(points), expected)
        assert not torch.equal(network(points), expected)
    assert f"{safe.tau:.6g}" in done.out


@pytest.mark.usefixtures("undrawn")
def test_nothing_is_kept_where_nothing_is_safe(own, analyze, here):
    (here / "more.py").write_text(
        f"from {own.removesuffix('.py')} import *\nwrong = [(points, (targets + 1) % 3)]\n"
    )
    done = analyze(f"{own}:network", "more.py:wrong", "--keep", "pruned.pt", *GRID)
    assert done.code == 2
    assert "nothing is kept" in done.err
    assert not (here / "pruned.pt").exists()
    assert "no better than" in (done.folder / "report.html").read_text()
    assert not (done.folder / "safe.json").exists()


@pytest.mark.usefixtures("undrawn")
def test_force_replaces_all_and_leaves_nothing_of_before(own, analyze):
    words = (f"{own}:network", f"{own}:batches", *GRID)
    folder = analyze(*words, "--per-layer").folder
    (folder / "notes.txt").write_text("mine")
    before = (folder / "report.html").stat().st_mtime_ns
    refused = analyze(*words)
    assert refused.code == 2
    assert "--force" in refused.err
    assert (folder / "report.html").stat().st_mtime_ns == before
    assert analyze(*words, "--force", "--rfe-only").code == 0
    left = {"curves.csv", "figure.png", "layers.csv", "report.html"}
    assert {path.name for path in folder.iterdir()} == {*left, "notes.txt"}
    assert left < set(PRODUCTS)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("step", "last", "words"),
    [("100", "500", "beyond every activation"), ("1e-12", "5e-12", "below every activation")],
)
def test_a_grid_out_of_reach(own, analyze, step, last, words):
    done = analyze(f"{own}:network", f"{own}:batches", "--tau-step", step, "--tau-max", last)
    assert done.code == 0
    hint = re.search(rf"{words}.*--tau-step (\S+) --tau-max (\S+) would suit", done.out)
    assert words in (done.folder / "report.html").read_text()
    again = analyze(
        f"{own}:network", f"{own}:batches", "--tau-step", hint[1], "--tau-max", hint[2], "--force"
    )
    assert "would suit" not in again.out


@pytest.mark.usefixtures("undrawn")
def test_a_grid_of_which_only_the_fine_part_reaches_an_activation(own, analyze):
    made = runpy.run_path(str(own))
    largest = 0.0
    with torch.no_grad():
        h = made["points"]
        for layer in made["network"].eval():
            h = layer(h)
            largest = max(largest, float(h.max()) if isinstance(layer, torch.nn.ReLU) else 0.0)
    step = largest / 0.15  # thresholds begin at a tenth of it, those of the evaluation at a fifth
    done = analyze(
        f"{own}:network", f"{own}:batches", "--tau-step", f"{step}", "--tau-max", f"{5 * step}"
    )
    assert "beyond every activation" in done.out


@pytest.mark.usefixtures("undrawn")
class TestInterrupted:
    WORDS = ("{0}:network", "{0}:batches", *GRID)

    @pytest.fixture
    def begun(self, own, analyze, monkeypatch):
        """An analysis that was interrupted in its full evaluation; returns the words for it."""
        words = [word.format(own) for word in self.WORDS]
        network = load_object(f"{own}:network")
        calls = 0

        def interrupt(*_):
            nonlocal calls
            calls += 1
            if calls == 40:
                raise KeyboardInterrupt

        handle = network.register_forward_pre_hook(interrupt)
        done = analyze(*words)
        handle.remove()
        assert done.code == 130
        assert "the same command goes on from here" in done.err
        assert [path.name for path in done.folder.iterdir()] == [CHECKPOINT]
        return words

    def test_goes_on(self, begun, own, analyze):
        taus = (analyze_folder := analyze(*begun, output="whole").folder, curves(analyze_folder))[1]
        network = load_object(f"{own}:network")
        calls = []
        handle = network.register_forward_pre_hook(lambda *_: calls.append(1))
        done = analyze(*begun)
        handle.remove()
        resumed = len(calls)
        calls.clear()
        handle = network.register_forward_pre_hook(lambda *_: calls.append(1))
        analyze(*begun, output="other")
        handle.remove()
        assert resumed < len(calls) - 15
        for method in ("full", "renormalized"):
            pd.testing.assert_frame_equal(curves(done.folder)[method], taus[method])
        assert sorted(path.name for path in done.folder.iterdir()) == PLAIN

    def test_with_another_network_is_refused_unless_forced(self, begun, own, analyze):
        with torch.no_grad():
            load_object(f"{own}:network")[0].weight.mul_(1.5)
        refused = analyze(*begun)
        assert refused.code == 2
        assert refused.err.count("\n") == 1
        assert "--force" in refused.err
        assert "total_abs_sum" in refused.err
        assert [path.name for path in refused.folder.iterdir()] == [CHECKPOINT]
        forced = analyze(*begun, "--force")
        assert forced.code == 0
        fresh = analyze(*begun, output="fresh")
        pd.testing.assert_frame_equal(curves(forced.folder)["full"], curves(fresh.folder)["full"])

    @pytest.mark.parametrize("change", [["--layers", "1"], ["--metric", "f1"], ["--limit", "60"]])
    def test_with_another_question_is_refused(self, begun, analyze, change):
        refused = analyze(*begun, *change)
        assert refused.code == 2
        assert "--force" in refused.err


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("model", "data", "options", "expected"),
    [
        ("{0}:netwrk", "{0}:batches", [], "did you mean 'network'"),
        ("{0}:number", "{0}:batches", [], "is of type int, not a torch.nn.Module"),
        ("{0}:batches", "{0}:batches", [], "is of type list, not a torch.nn.Module"),
        ("{0}:stream", "{0}:batches", [], "is of type generator, not a torch.nn.Module"),
        ("{0}:fail", "{0}:batches", [], "fail failed in {0}, line 20, in fail: RuntimeError: over"),
        ("{0}:fails", "{0}:batches", [], "failed in {0}, line 32, in forward: RuntimeError"),
        ("{0}:network", "{0}:number", [], "is of type int, not an iterable of batches"),
        ("{0}:network", "{0}:text", [], "is of type str, not an iterable of batches"),
        ("{0}:network", "{0}:fail", [], "fail failed in {0}"),
        ("{0}:network", "{0}:unlabelled", [], "a batch has no targets"),
        ("{0}:network", "{0}:batches", ["--layers", "2x"], "2x"),
        ("{0}:network", "{0}:batches", ["--max-drop", "5"], "not percent"),
        ("{0}:network", "{0}:batches", ["--device", "warp"], "--device warp"),
        ("{0}:network", "{0}:batches", ["--keep", "a.pt", "--layers", "relu()"], "cannot be kept"),
        ("{0}:within", "{0}:batches", ["--keep", "a.pt"], "cannot be pickled"),
    ],
)  # fmt: skip
def test_mistakes(own, analyze, here, model, data, options, expected):
    done = analyze(model.format(own), data.format(own), *options)
    assert done.code == 2
    assert done.err.count("\n") == 1, done.err
    assert expected.format(own) in done.err
    assert not (here / "out").exists()
    assert not list(here.glob("*.pt"))
