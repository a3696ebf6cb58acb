"""Generated news items and reviews: a bag of words tells the classes apart, though not perfectly.

Every class has its own words, but each text also borrows some from other classes and is mostly
made of words that all classes share. Neighbouring star ratings borrow from each other most, as in
real reviews.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from companion.data.specs import DatasetSpec

__all__ = ["texts"]

NEWS = (
    "minister treaty border embassy rebels ceasefire parliament election province troops "
    "refugees summit hostage president militia diplomats sanctions protest coalition capital",
    "coach striker season playoff inning tournament goalkeeper champion medal stadium "
    "quarterback league penalty referee rookie sprint trophy pitcher defeat overtime",
    "shares profit merger investors earnings retailer bank oil dollar quarter "
    "shareholders lender bonds forecast revenue airline takeover exports inflation market",
    "software browser satellite researchers chip server telescope virus network laptop "
    "spacecraft genome users encryption console wireless probe download robot database",
)
REVIEWS = (
    "awful rude filthy refund disgusting worst inedible ignored stale cockroach never horrible",
    "disappointing overpriced bland slow cold greasy mediocre soggy unhelpful noisy waited meh",
    "okay average decent fine standard acceptable so-so ordinary fair passable usual alright",
    "good tasty friendly pleasant fresh cozy solid enjoyed generous quick reliable recommend",
    "amazing perfect delicious outstanding favorite incredible loved heavenly flawless best "
    "wonderful gem",
)
NEWS_SHARED = (
    "officials group year week people company plan report new world state leader team "
    "country man day city early late decision deal move talks test record week"
)
REVIEW_SHARED = (
    "food place service table menu staff lunch dinner waiter price room order drinks "
    "parking kitchen counter sandwich coffee hotel visit friend hour night location"
)

#: Sentences; ``{}`` takes a word of a class or a shared word.
NEWS_TEMPLATES = (
    "the {} said on Monday that the {} would face a {} this week",
    "{} and {} expected after {} in the {}",
    "a {} over the {} has left the {} waiting for a {}",
    "{} : why the {} is changing the {}",
    "after two days of {} , the {} agreed to a {} with the {}",
    "reports of a {} near the {} surprised the {}",
)
REVIEW_TEMPLATES = (
    "the {} was {} and the {} seemed {}",
    "we came for the {} on a Friday and found it {}",
    "i would call the {} {} , and so did my {}",
    "honestly the {} here is {}",
    "my {} said it was {} even though the {} looked {}",
    "{} {} , that is all i can say about the {}",
)

#: Chance that a blank takes a word of a class at all, and that this class is another one.
NEWS_TOPICAL, NEWS_STRAY = 0.5, 0.2
REVIEW_TOPICAL, REVIEW_STRAY = 0.25, 0.5
#: Numbers of sentences, smallest and largest.
NEWS_SENTENCES, REVIEW_SENTENCES = (2, 3), (3, 11)


def texts(spec: DatasetSpec, labels: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """Texts for given labels.

    Parameters
    ----------
    spec : DatasetSpec
        AG News or Yelp Review Full; what counts is whether classes are topics or a scale.
    labels : ndarray of int64, shape (examples,)
        Class numbers.
    rng : Generator
        Source of randomness; the word lists do not depend on it.

    Returns
    -------
    list of str
        One text per label: news items of roughly 15 to 45 words, reviews of 20 to 120.

    Examples
    --------
    >>> from companion.data.specs import DATASETS
    >>> len(texts(DATASETS["ag_news"], np.arange(4), np.random.default_rng(0)))
    4
    """
    if spec.name == "ag_news":
        draw, common = _other_topic, NEWS_SHARED
        templates, sentences = NEWS_TEMPLATES, NEWS_SENTENCES
        topical, stray = NEWS_TOPICAL, NEWS_STRAY
        words = [group.split() for group in NEWS]
    else:
        draw, common = _neighbouring_star, REVIEW_SHARED
        templates, sentences = REVIEW_TEMPLATES, REVIEW_SENTENCES
        topical, stray = REVIEW_TOPICAL, REVIEW_STRAY
        words = [group.split() for group in REVIEWS]
    shared = common.split()

    def text(label: int) -> str:
        pieces = []
        for _ in range(rng.integers(sentences[0], sentences[1] + 1)):
            template = templates[rng.integers(len(templates))]
            blanks = []
            for _ in range(template.count("{}")):
                source = shared
                if rng.random() < topical:
                    other = rng.random() < stray
                    source = words[draw(rng, label, len(words)) if other else label]
                blanks.append(source[rng.integers(len(source))])
            sentence = template.format(*blanks)
            pieces.append(sentence[0].upper() + sentence[1:] + ".")
        return " ".join(pieces)

    return [text(int(label)) for label in labels]


def _other_topic(rng: np.random.Generator, label: int, classes: int) -> int:
    return int((label + rng.integers(1, classes)) % classes)


def _neighbouring_star(rng: np.random.Generator, label: int, classes: int) -> int:
    step = 1 if rng.random() < 0.5 else -1
    return label + step if 0 <= label + step < classes else label - step
