"""Other units: thresholds per layer as by hand, scales that cancel, files as other files."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn

from companion import cli
from companion.networks import NETWORKS
from companion.runs import experiment as chapters
from companion.runs import scale as scale_module
from companion.runs.run import Run
from companion.runs.scale import InUnits, layer_means, write_scale
from companion.runs.scale_files import FACTS, LAYER_MEANS, RESCALED, TABLE, read_scale
from companion.runs.settings import settings
from tests.companion.networks.tiny import tiny
from thermo_utils import ThermoError, full_evaluation, renormalized, resolve_layers
from thermo_utils.scaling import rescaled
from thermo_utils.thermodynamics import CURVE_COLUMNS

TAUS = np.array([0.25, 0.5, 1.0, 2.0])


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3)
    ).eval()


def data():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(64, 6, generator=generator), torch.arange(64) % 3) for _ in range(2)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The curves of a tiny MLP on generated images."""
    folder = tmp_path_factory.mktemp("results")
    chosen = settings("mlp", "cifar10", epochs=1, train_size=256, validation_size=64, test_size=200)
    trained = chapters.experiment(Run(chosen, folder), progress=False)
    write_scale(trained, examples=150, progress=False)
    return trained


class TestLayerMeans:
    def test_by_hand(self):
        net, inputs = network(), torch.cat([x for x, _ in data()])
        means = layer_means(net, data(), nn.ReLU)
        first = net[:2](inputs)
        second = net[:4](inputs)
        expected = [float(a[a != 0].double().mean()) for a in (first, second)]
        assert list(means) == ["1", "3"]
        assert list(means.values()) == pytest.approx(expected, rel=1e-9)

    def test_a_layer_of_zeros(self):
        net = nn.Sequential(nn.Identity())
        assert layer_means(net, [(torch.zeros(4, 2), None)], "0") == {"0": 1.0}


class TestInUnits:
    def test_each_layer_is_pruned_at_its_own_threshold(self):
        """Against pruning by hand, with counts and sums in units of the means."""
        net, means = network(), layer_means(network(), data(), nn.ReLU)
        shown = InUnits(net, means)
        full = full_evaluation(shown, data(), "units.*", TAUS, progress=False)
        fast = renormalized(shown, data(), "units.*", TAUS, progress=False)
        shown.close()
        one, two = means.values()
        inputs = torch.cat([x for x, _ in data()])
        targets = torch.cat([y for _, y in data()])
        for t, row, unpruned in zip(TAUS, full.itertuples(), fast.itertuples(), strict=True):
            a = net[:2](inputs)
            b = net[2:4](a)
            active = int((a >= t * one).sum() + (b >= t * two).sum())
            assert abs(unpruned.active - active) <= 1  # a division may round onto the threshold
            a = a * (a >= t * one)
            b = net[2:4](a)
            b = b * (b >= t * two)
            assert abs(row.active - int((a != 0).sum() + (b != 0).sum())) <= 1
            assert row.abs_sum == pytest.approx(float(a.sum() / one + b.sum() / two), rel=1e-3)
            assert row.accuracy == pytest.approx(
                float((net[4:](b).argmax(1) == targets).float().mean()), abs=1 / 128 + 1e-6
            )
        assert full.attrs["total_abs_sum"] == pytest.approx(full.attrs["total"], rel=1e-5)

    def test_scales_of_layers_cancel(self):
        """Layers 8 and 1/4 times as large: the same curve, while one threshold gives another."""
        net, other = network(), network()
        with torch.no_grad():
            for position, c in ((0, 8.0), (2, 0.25)):
                other[position].weight *= c
                other[position].bias *= c
                other[position + 2].weight /= c
        curves, plain = [], []
        for each in (net, other):
            plain.append(full_evaluation(each, data(), nn.ReLU, TAUS, progress=False))
            shown = InUnits(each, layer_means(each, data(), nn.ReLU))
            curves.append(full_evaluation(shown, data(), "units.*", TAUS, progress=False))
            shown.close()
        assert_frame_equal(*curves, rtol=1e-4)
        assert not np.allclose(plain[0]["beta"], plain[1]["beta"], atol=0.02)

    @pytest.mark.parametrize("model", NETWORKS)
    def test_every_network_shows_its_layers(self, model):
        net, batches = tiny(model)
        layers = NETWORKS[model].layers
        means = layer_means(net, batches, layers)
        assert list(means) == list(resolve_layers(net, layers))
        before = full_evaluation(net, batches, layers, [1e-30], progress=False)
        shown = InUnits(net, means)
        curve = full_evaluation(shown, batches, "units.*", [1e-30, 1.0, 1e9], progress=False)
        shown.close()
        assert curve.attrs["baseline_accuracy"] == before.attrs["baseline_accuracy"]
        assert curve.attrs["total"] == pytest.approx(before.attrs["total"], rel=1e-5)
        assert curve.attrs["total_abs_sum"] == pytest.approx(curve.attrs["total"], rel=1e-4)
        assert 0.3 < curve["beta"][1] < 0.9  # about half lie below the mean
        assert curve["active"][2] == 0

    def test_closed_it_is_gone(self):
        net, (x, _) = network(), data()[0]
        before = net(x)
        shown = InUnits(net, {"1": 0.1, "3": 10.0})
        torch.testing.assert_close(shown(x), before)
        shown.close()
        assert torch.equal(net(x), before)
        assert not any(module._forward_hooks for module in net.modules())

    def test_a_layer_without_a_tensor(self):
        shown = InUnits(nn.Sequential(nn.LSTM(3, 2)), {"0": 1.0})
        with pytest.raises(ThermoError, match="LSTM returns a tuple"):
            shown(torch.zeros(1, 1, 3))


class TestWritten:
    def test_the_rescaled_networks_obey_the_identity_to_the_last_bit(self, written):
        scale = read_scale(written.run.folder)
        assert scale.facts["off"] == 0.0
        assert scale.factors == [0.25, 1.0, 4.0]
        for method in ("full", "renormalized"):
            own = scale.curve(RESCALED, method)
            for c in scale.factors:
                found = scale.curve(RESCALED, method, c)
                assert_frame_equal(found, rescaled(own, c), rtol=1e-9)
                columns = ["active", "beta"] + (["accuracy"] if method == "full" else [])
                assert found[columns].equals(own[columns])
        assert own["beta"].min() < 0.3
        assert own["beta"].max() > 0.9

    def test_curves_in_units_of_the_layers(self, written):
        scale = read_scale(written.run.folder)
        full, fast = (scale.curve(LAYER_MEANS, method) for method in ("full", "renormalized"))
        assert set(CURVE_COLUMNS) <= set(full)
        assert set(full["tau"]) <= set(fast["tau"])
        assert full.attrs["samples"] == scale.facts["examples"] == 150
        assert [one["layer"] for one in scale.facts["means"]] == [
            f"hidden.relu{number}" for number in (1, 2, 3)
        ]
        accuracy = full.attrs["baseline_accuracy"] + (full["gained"] - full["lost"]) / 150
        np.testing.assert_allclose(full["accuracy"], accuracy)
        assert full.attrs["total"] == fast.attrs["total"]

    def test_whether_a_record_is_of_the_same_network(self, written):
        scale = read_scale(written.run.folder)
        ours = {"key": scale.facts["key"], "weights": scale.facts["weights"]}
        assert ours["key"] == written.run.settings.key("train")
        for trained, expected in (
            (ours, True),
            ({"key": ours["key"]}, True),  # older records do not name the weights
            (ours | {"key": "0" * 16}, False),
            (ours | {"weights": "0" * 64}, False),
        ):
            assert scale.fits({"stages": {"train": trained}}) is expected

    def test_a_curve_that_is_not_there(self, written):
        with pytest.raises(ThermoError, match="c = 3"):
            read_scale(written.run.folder).curve(RESCALED, "full", 3.0)

    def test_an_interrupted_run_goes_on(self, written, monkeypatch):
        """What was finished is not evaluated again: its checkpoints are what is read."""
        expected = read_scale(written.run.folder).table
        seen = []

        def dying(model, batches, layers, taus, **options):
            seen.append(len(taus))
            if len(seen) == 2:
                raise KeyboardInterrupt
            return full_evaluation(model, batches, layers, taus, **options)

        monkeypatch.setattr(scale_module, "full_evaluation", dying)
        with pytest.raises(KeyboardInterrupt):
            write_scale(written, examples=150, progress=False)
        (log,) = written.run.scratch("train").parent.glob("scale-*/layer-means.jsonl")
        rows = log.read_text().splitlines()
        assert len(rows) == seen[0] + 1
        monkeypatch.undo()
        write_scale(written, examples=150, progress=False)
        assert_frame_equal(read_scale(written.run.folder).table, expected)
        assert not log.exists()

    def test_no_examples(self, written):
        with pytest.raises(ThermoError, match="examples must be 1 or more, got 0"):
            write_scale(written, examples=0)


class TestFiles:
    def copy(self, written, tmp_path):
        return shutil.copytree(written.run.folder, tmp_path / "demo" / "mlp-cifar10")

    def test_nothing_there(self, tmp_path):
        assert read_scale(tmp_path) is None

    def test_half_written_is_not_there_and_changed_is_damaged(self, written, tmp_path):
        folder = self.copy(written, tmp_path)
        with (folder / TABLE).open("a") as file:
            file.write("\n")
        with pytest.raises(ThermoError, match=rf"{TABLE} is damaged.*thermo scale again"):
            read_scale(folder)
        (folder / FACTS).unlink()
        assert read_scale(folder) is None

    @pytest.mark.parametrize(
        "change",
        [{"profile": "small"}, {"means": []}, {"off": -1.0}, {"examples": 0}, {"curves": []},
         {"key": None}, {"scale_sha256": ""}],
    )  # fmt: skip
    def test_damaged_facts(self, written, tmp_path, change):
        folder = self.copy(written, tmp_path)
        facts = json.loads((folder / FACTS).read_text())
        (folder / FACTS).write_text(json.dumps(facts | change))
        with pytest.raises(ThermoError, match=r"scale\.(json|csv) is damaged"):
            read_scale(folder)


class TestCommand:
    def test_networks_that_cannot_be_rescaled_get_the_other_half(self, tmp_path, capsys):
        words = ["scale", "mobilenet_v2", "flowers102", "--results", str(tmp_path), "--quiet"]
        monkey = [*words, "--examples", "8"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scale_module, "LAST", 0.5)
            patch.setattr("companion.runs.experiment.train", _untrained)
            assert cli.main(monkey) == 0
        folder = tmp_path / "demo" / "mobilenet_v2-flowers102"
        assert capsys.readouterr().out.strip().endswith(str(folder / TABLE))
        scale = read_scale(folder)
        assert scale.factors == []
        assert "ReLU6" in scale.facts["obstacle"]
        assert scale.facts["off"] is None
        assert cli.main(monkey) == 2
        assert "--force" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["ml", "cifar10"], "did you mean 'mlp'"),
            (["mlp", "cifar10", "--examples", "0"], "examples must be 1 or more"),
        ],
    )
    def test_mistakes(self, words, expected, tmp_path, capsys):
        assert cli.main(["scale", *words, "--results", str(tmp_path / "none")]) == 2
        assert expected in capsys.readouterr().err
        assert not (tmp_path / "none").exists()


def _untrained(network, data, **options):
    import pandas as pd

    network.eval()
    return pd.DataFrame(
        {"epoch": [1], "train_loss": [1.0], "validation_loss": [1.0],
         "validation_accuracy": [0.1], "best": [True]}
    )  # fmt: skip
