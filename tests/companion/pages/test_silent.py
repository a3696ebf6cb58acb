"""What the paper leaves unsaid: what is done here is what the code does."""

import inspect
import re

from companion.data.splits import VALIDATION_SHARE
from companion.data.text import text_splits
from companion.networks import NETWORKS
from companion.pages.silent import HELD_OUT, PERCENTILE, PROFILE, WIDTHS, silent_table
from companion.runs.chapters import CHAPTERS

ROWS = [
    [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
    for row in re.findall(r"<tr><td.*?</tr>", silent_table())
]
HERE = {choice: here for choice, _, here in ROWS}


def test_every_choice_is_there_once_with_both_sides():
    assert len(HERE) == len(ROWS) > 10
    assert all(all(row) for row in ROWS)


def test_widths_are_those_of_the_networks():
    for name, options in WIDTHS.items():
        network = NETWORKS[name]
        found = [int(n) for n in re.findall(r"\d+", HERE[f"Sizes of the {network.title}"])]
        parameters = inspect.signature(network.make).parameters
        expected = []
        for option in options:
            value = parameters[option].default
            expected += [value] if isinstance(value, int) else value
        assert found == expected


def test_every_grid_of_the_paper_profile_is_named():
    text = HERE["Grid of thresholds"]
    named = {float(step) for step in re.findall(r"([\d.]+) \(", text)}
    recipes = [NETWORKS[c.model].recipes[c.dataset, PROFILE] for c in CHAPTERS]
    assert named == {recipe.tau_step for recipe in recipes}
    for chapter in CHAPTERS:
        recipe = NETWORKS[chapter.model].recipes[chapter.dataset, PROFILE]
        (where,) = re.findall(rf"(?<![\d.]){recipe.tau_step:g} \((.*?)\)", text)
        title = NETWORKS[chapter.model].title
        assert chapter.title in where or re.search(rf"\b{title}(?! on )", where)


def test_what_is_said_in_words_is_what_the_code_does():
    assert (HELD_OUT, VALIDATION_SHARE) == ("a tenth", 0.1)
    default = inspect.signature(text_splits).parameters["percentile"].default
    assert f"{default:g}th" == PERCENTILE
    recipes = [NETWORKS[c.model].recipes[c.dataset, PROFILE] for c in CHAPTERS]
    assert {recipe.test_size for recipe in recipes} == {None}
    assert {recipe.checkpoint for recipe in recipes if recipe.checkpoint} == set(
        re.findall(r"(\S+) \(", HERE["Weights to start from"])
    )
