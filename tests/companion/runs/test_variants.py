"""Alternatives: the same curves as elsewhere, shifts of known sign and size, padding left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn

from companion import cli
from companion.data.tensors import Examples
from companion.networks import NETWORKS
from companion.pages.variants import chapters_with_variants
from companion.runs import experiment as chapters
from companion.runs.records import read_record
from companion.runs.run import Run
from companion.runs.settings import settings
from companion.runs.variant_files import FACTS, TABLE, read_variants
from companion.runs.variants import (
    CHOSEN,
    Alternative,
    alternatives,
    renormalized_of_all,
    subset,
    variants,
    write_variants,
)
from thermo_utils import ThermoError, critical_threshold, renormalized
from thermo_utils.structures import real_positions

TAUS = [0.25, 0.5, 0.75, 1.0]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A tiny MLP on generated images, trained."""
    folder = tmp_path_factory.mktemp("results")
    chosen = settings("mlp", "cifar10", epochs=1, test_size=64)
    return chapters.experiment(Run(chosen, folder), progress=False)


@pytest.fixture(scope="module")
def table(experiment):
    return variants(experiment, full_examples=32)


def images(n=8):
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(n, 6, generator=generator), torch.zeros(n, dtype=torch.int64))]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3)).eval()


class Tokens(nn.Module):
    """Shows a value per token at one layer, and one per text at another."""

    def __init__(self):
        super().__init__()
        self.states, self.score = nn.Identity(), nn.Identity()

    def forward(self, values, attention_mask):
        states = self.states(values.unsqueeze(-1))
        return self.score((states.squeeze(-1) * attention_mask).sum(1, keepdim=True))


def texts(padding):
    """Two texts of three and two tokens, padded with values that would count."""
    values = torch.tensor([[0.3, 0.6, 0.9], [0.4, 0.8, 5.0]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    wide = torch.full((2, padding), 7.0)
    inputs = {
        "values": torch.cat([values, wide], 1),
        "attention_mask": torch.cat([mask, torch.zeros(2, padding, dtype=torch.int64)], 1),
    }
    return [(inputs, torch.zeros(2, dtype=torch.int64))]


class TestAlternatives:
    @pytest.mark.parametrize("model", NETWORKS)
    def test_one_choice_at_a_time(self, model):
        layers, text = NETWORKS[model].layers, NETWORKS[model].reads == "text"
        first, *others = alternatives(model, layers, text=text)
        assert first == Alternative("none", CHOSEN, layers)
        for other in others:
            differing = [
                field
                for field in ("layers", "inclusive", "count_zeros", "padding")
                if getattr(other, field) != getattr(first, field)
            ]
            assert len(differing) == 1
        assert any(not other.padding for other in others) == text


class TestCurves:
    def test_all_alternatives_in_one_pass_equal_one_pass_each(self):
        net, data = network(), images()
        choices = [
            Alternative("none", CHOSEN, ("1",)),
            Alternative("outputs", "linear", ("0",)),
            Alternative("outputs", "both", ("0", "1")),
            Alternative("N", "zeros", ("1",), count_zeros=True),
            Alternative("comparison", "above", ("1",), inclusive=False),
        ]
        for choice, curve in zip(
            choices, renormalized_of_all(net, data, choices, TAUS), strict=True
        ):
            expected = renormalized(
                net, data, choice.layers, TAUS,
                inclusive=choice.inclusive, count_zeros=choice.count_zeros, progress=False,
            )  # fmt: skip
            assert curve.attrs["total"] == expected.attrs["total"]
            assert_frame_equal(curve, expected)

    def test_counting_zeros_shifts_the_free_energy_by_a_known_amount(self):
        choices = [
            Alternative("none", CHOSEN, ("1",)),
            Alternative("N", "zeros", ("1",), count_zeros=True),
        ]
        without, counted = renormalized_of_all(network(), images(), choices, TAUS)
        ratio = counted.attrs["total"] / without.attrs["total"]
        assert ratio > 1.5  # a ReLU makes about as many zeros as it leaves values
        np.testing.assert_allclose(
            counted["free_energy"] - without["free_energy"], np.log(ratio) / np.array(TAUS)
        )
        np.testing.assert_allclose(counted["rho"] * ratio, without["rho"])
        assert (counted["beta"] > without["beta"]).all()

    def test_without_zeros_counting_them_changes_nothing(self):
        choices = [
            Alternative("none", CHOSEN, ("0",)),
            Alternative("N", "zeros", ("0",), count_zeros=True),
        ]
        assert_frame_equal(*renormalized_of_all(network(), images(), choices, TAUS))

    def test_above_prunes_exactly_the_values_on_the_threshold_more(self):
        data = [(torch.tensor([[0.25, 0.5, 0.5, 0.75, 2.0]]), torch.zeros(1, dtype=torch.int64))]
        choices = [
            Alternative("none", CHOSEN, ("0",)),
            Alternative("comparison", "above", ("0",), inclusive=False),
        ]
        from_, above = renormalized_of_all(nn.Sequential(nn.Identity()), data, choices, TAUS)
        assert (from_["active"] - above["active"]).tolist() == [1, 2, 1, 0]


class TestPadding:
    choices = (
        Alternative("none", CHOSEN, ("states",)),
        Alternative("padding", "left out", ("states",), padding=False),
    )

    def test_counts_do_not_depend_on_padding_once_it_is_left_out(self):
        (_, short), (_, long) = (
            renormalized_of_all(Tokens(), texts(p), self.choices, TAUS) for p in (0, 9)
        )
        assert short.attrs["total"] == long.attrs["total"] == 5
        assert_frame_equal(short, long)

    def test_they_do_as_long_as_it_is_counted(self):
        short, _ = renormalized_of_all(Tokens(), texts(0), self.choices, TAUS)
        long, _ = renormalized_of_all(Tokens(), texts(9), self.choices, TAUS)
        assert (short.attrs["total"], long.attrs["total"]) == (6, 24)

    def test_a_batch_without_padding_gives_identical_counts(self):
        inputs, targets = texts(0)[0]
        full = {**inputs, "attention_mask": torch.ones(2, 3, dtype=torch.int64)}
        assert_frame_equal(*renormalized_of_all(Tokens(), [(full, targets)], self.choices, TAUS))

    def test_an_output_per_text_has_no_padding(self):
        choices = [
            Alternative(a.choice, a.words, ("score",), padding=a.padding) for a in self.choices
        ]
        counted, left_out = renormalized_of_all(Tokens(), texts(9), choices, TAUS)
        assert counted.attrs["total"] == 2
        assert_frame_equal(counted, left_out)

    @pytest.mark.parametrize(
        ("shape", "left"),
        [((2, 4, 5), (3, 5)), ((2, 3, 5), (3, 5)), ((2, 4, 5, 6), (3, 5, 6)), ((2, 4), (2, 4)),
         ((2, 5, 5), (2, 5, 5)), ((3, 4, 5), (3, 4, 5))],
    )  # fmt: skip
    def test_which_outputs_have_positions(self, shape, left):
        mask = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]])
        assert real_positions(torch.zeros(shape), mask).shape == left
        assert real_positions(torch.zeros(shape), None).shape == shape


class TestVariants:
    def test_a_row_per_alternative_and_grid(self, experiment, table):
        words = [a.words for a in alternatives("mlp", experiment.layers, text=False)]
        assert table["alternative"].tolist() == [*words, "10 times coarser", "half the range"]
        assert not table.duplicated(["choice", "alternative"]).any()

    def test_the_first_row_is_the_chapter(self, experiment, table):
        found = critical_threshold(experiment.renormalized())
        first = table.iloc[0]
        if found is None:
            assert np.isnan(first["rfe_tau"])
        else:
            assert (first["rfe_tau"], first["rfe_kind"]) == (found.tau, found.kind)

    def test_shifts_are_differences_in_steps(self, experiment, table):
        for method in ("rfe", "fe", "acc"):
            tau = pd.to_numeric(table[f"{method}_tau"])
            expected = (tau - tau[0]) / np.diff(experiment.grids[0]).max()
            np.testing.assert_allclose(table[f"{method}_shift"], expected)
            assert table[f"{method}_shift"][0] == 0 or np.isnan(tau[0])

    def test_dropout_does_nothing_in_evaluation(self, table):
        rows = table.set_index("alternative").loc[[CHOSEN, "after dropout"]].drop(columns="choice")
        assert_frame_equal(rows.iloc[:1], rows.iloc[1:].set_axis([CHOSEN]), check_names=False)

    def test_counting_zeros_leaves_the_accuracy_alone(self, table):
        rows = table.set_index("choice")
        assert rows.loc["N", "total"] > rows.loc["none", "total"]
        assert rows.loc["N", "acc_tau"] == pytest.approx(rows.loc["none", "acc_tau"], nan_ok=True)

    def test_full_evaluation_can_be_left_out(self, experiment, table):
        fast = variants(experiment, full_examples=0)
        assert fast[["fe_tau", "acc_tau"]].isna().all(axis=None)
        pd.testing.assert_series_equal(fast["rfe_tau"], table["rfe_tau"])

    def test_a_negative_number_of_examples(self, experiment):
        with pytest.raises(ThermoError, match="full_examples must be 0 or more, got -1"):
            variants(experiment, full_examples=-1)

    def test_subset_is_seeded_ordered_and_bounded(self):
        examples = Examples(torch.arange(50.0), torch.arange(50))
        one, same, other = (subset(examples, 10, seed).targets for seed in (1, 1, 2))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)
        assert one.tolist() == sorted(set(one.tolist()))
        assert len(subset(examples, 99, 0)) == 50


class TestFiles:
    def test_written_is_read(self, experiment):
        path = write_variants(experiment, full_examples=0)
        assert path == experiment.run.folder / TABLE
        table, facts = read_variants(experiment.run.folder)
        expected = variants(experiment, full_examples=0)
        assert_frame_equal(
            table.replace("", np.nan), expected.replace("", np.nan), check_dtype=False
        )
        assert facts["key"] == experiment.run.settings.key("renormalized")
        assert facts["full_examples"] == 0
        assert facts["seconds"] > 0
        assert facts["provenance"]["packages"]["torch"]
        # With settings of its own it stands for no chapter.
        assert chapters_with_variants(experiment.run.results, "demo") == {}

    def test_nothing_there(self, tmp_path):
        assert read_variants(tmp_path) is None
        assert chapters_with_variants(tmp_path, "demo") == {}

    def test_half_written_is_not_there_and_changed_is_damaged(self, experiment, tmp_path):
        write_variants(experiment, full_examples=0)
        folder = shutil.copytree(experiment.run.folder, tmp_path / "demo" / "mlp-cifar10")
        with (folder / TABLE).open("a") as file:
            file.write("\n")
        with pytest.raises(ThermoError, match=TABLE):
            read_variants(folder)
        (folder / FACTS).unlink()
        assert read_variants(folder) is None

    def test_damaged(self, tmp_path):
        (tmp_path / TABLE).write_text("")
        (tmp_path / FACTS).write_text("{")
        with pytest.raises(ThermoError, match=r"variants.json is damaged.* run thermo variants"):
            read_variants(tmp_path)


COMMITTED = Path(__file__).parents[3] / "results"


def test_committed_tables_agree_with_the_records_beside_them():
    tables = chapters_with_variants(COMMITTED, "small")
    assert {"mlp-cifar10", "cnn-cifar10"} <= set(tables)
    for name, (rows, facts) in tables.items():
        model = name.split("-")[0]
        text = NETWORKS[model].reads == "text"
        words = [a.words for a in alternatives(model, NETWORKS[model].layers, text=text)]
        assert rows["alternative"].tolist()[: len(words)] == words
        record = read_record(COMMITTED / "small" / name)
        if record is None or record.result["stages"]["renormalized"]["key"] != facts["key"]:
            continue  # which the page says
        found = record.result["thresholds"]["renormalized"]
        assert (rows["rfe_tau"][0], rows["rfe_kind"][0]) == (found["tau"], found["kind"])
        assert rows["total"][0] == record.curve("renormalized").attrs["total"]


class TestCommand:
    def test_it_writes_the_table(self, tmp_path, capsys):
        words = ["variants", "mlp", "cifar10", "--results", str(tmp_path), "--full-examples", "8"]
        assert cli.main(words) == 0
        path = tmp_path / "demo" / "mlp-cifar10" / TABLE
        assert capsys.readouterr().out.strip().endswith(str(path))
        assert json.loads(path.with_name(FACTS).read_text())["full_examples"] == 8
        before = path.read_bytes()
        assert cli.main(words) == 2
        assert "--force" in capsys.readouterr().err
        assert path.read_bytes() == before
        assert cli.main([*words, "--force"]) == 0

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["ml", "cifar10"], "did you mean 'mlp'"),
            (["mlp", "yelp"], "mlp has no chapter on yelp"),
            (["mlp", "cifar10", "--profile", "dem"], "did you mean 'demo'"),
            (["mlp", "cifar10", "--full-examples", "-1"], "full_examples must be 0 or more"),
        ],
    )
    def test_mistakes(self, words, expected, tmp_path, capsys):
        assert cli.main(["variants", *words, "--results", str(tmp_path / "none")]) == 2
        assert expected in capsys.readouterr().err
        assert not (tmp_path / "none").exists()
