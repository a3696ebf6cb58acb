"""Labels and class numbers: every way in which a score would be silently wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.analysis.labels import numbered
from thermo_utils import ThermoError

ANIMALS = {0: "dog", 1: "Cat", 2: "bird"}
names = st.lists(st.text("abcxyz_ ", min_size=1).filter(str.strip), min_size=2, unique_by=str.strip)


@given(names, st.data())
def test_names_are_found_whatever_their_order(own, data):
    own = [name.strip() for name in own]
    labels = data.draw(st.lists(st.sampled_from(own), min_size=1))
    found = numbered(labels, classes=dict(enumerate(own)))
    assert [own[number] for number in found.numbers] == labels
    assert all(found.meaning[n] == label for n, label in zip(found.numbers, labels, strict=True))


def test_names_of_another_case():
    assert numbered(["BIRD", "cat"], classes=ANIMALS).numbers == [2, 1]


def test_names_that_differ_in_case_alone_must_be_exact():
    own = {0: "May", 1: "may"}
    assert numbered(["may", "May"], classes=own).numbers == [1, 0]
    with pytest.raises(ThermoError, match="MAY"):
        numbered(["MAY"], classes=own)
    with pytest.raises(ThermoError, match="BIRD, bird"):
        numbered(["BIRD", "bird"], classes=ANIMALS)


def test_names_that_the_network_has_twice_are_refused_and_others_taken():
    own = {0: "crane", 1: "stork", 2: "crane"}
    assert numbered(["Stork"], classes=own).numbers == [1]
    with pytest.raises(ThermoError, match="crane"):
        numbered(["stork", "crane"], classes=own)


def test_an_unknown_name_is_refused_and_named():
    with pytest.raises(ThermoError, match=r"fish.*dog, Cat, bird"):
        numbered(["dog", "fish"], classes=ANIMALS)


def test_names_of_a_network_that_names_none_are_sorted_if_there_are_as_many():
    unnamed = {0: "LABEL_0", 1: "LABEL_1"}
    found = numbered(["pos", "neg", "pos"], classes=unnamed)
    assert found.numbers == [1, 0, 1]
    assert found.meaning == {0: "neg", 1: "pos"}
    assert "alphabetical" in found.how
    # One class fewer would give every later class the number of another.
    with pytest.raises(ThermoError, match=r"2 labels.*3 classes"):
        numbered(["pos", "neg"], outputs=3)


def test_numbers_are_taken_as_they_are_if_the_network_has_them():
    found = numbered([2, 0], classes=ANIMALS)
    assert (found.numbers, found.meaning) == ([2, 0], {0: "dog", 2: "bird"})
    for labels in ([1, 2, 3], [-1, 0]):
        with pytest.raises(ThermoError, match="from 0 to 2"):
            numbered(labels, classes=ANIMALS)
    with pytest.raises(ThermoError, match="from 0"):
        numbered([-1, 0])


def test_numbers_that_are_names_of_the_network():
    stars = {0: "1", 1: "2", 2: "3"}
    assert numbered([1, 3, 2], classes=stars).numbers == [0, 2, 1]


def test_numbers_with_names_follow_the_names_of_the_network():
    # As between data sets and networks of natural language inference.
    found = numbered([0, 1, 2], classes=ANIMALS, names=["bird", "dog", "cat"])
    assert found.numbers == [2, 0, 1]
    assert found.meaning == {2: "bird", 0: "dog", 1: "cat"}


def test_numbers_whose_names_are_not_the_networks_are_kept_with_a_word_on_it():
    found = numbered([0, 1], classes=ANIMALS, names=["hund", "katze", "vogel"])
    assert (found.numbers, found.meaning) == ([0, 1], {0: "hund", 1: "katze"})
    assert "make sure" in found.how


def test_values():
    assert numbered([1, 2.5], outputs=1).numbers == [1.0, 2.5]
    with pytest.raises(ThermoError, match="good"):
        numbered(["good"], outputs=1)
    with pytest.raises(ThermoError, match="fractions"):
        numbered([1, 2.5], outputs=3)


@given(st.lists(st.sampled_from("abcdef"), min_size=1))
def test_without_a_network_names_are_sorted(labels):
    found = numbered(labels)
    assert sorted(set(found.numbers)) == list(range(len(set(labels))))
    assert [sorted(set(labels))[n] for n in found.numbers] == labels
