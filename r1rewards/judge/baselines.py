"""What a grader has to beat: chance, length, and the words of the answers.

Each baseline is trained on four fifths of the prompts and asked about the rest, in five turns, so that no
prompt is on both sides. The words are weighted by TF-IDF (as usual: 1 + log of the count, times the inverse
document frequency of the training fold, rows of length one) and told apart by logistic regression.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from r1rewards.judge.measure import Item

Floats = npt.NDArray[np.float64]

FOLDS = 5
#: The words that count: the most frequent ones, in at least two texts.
WORDS = 3000
_WORD = re.compile(r"\w+")
_STEPS = 300
#: A gradient as small as this moves no probability that is looked at.
_STILL = 1e-4


def baselines(items: Sequence[Item]) -> dict[str, list[float]]:
    """The probability of outcome 1 for each item, by baseline."""
    folds = np.array([_fold(item.group) for item in items])
    y = np.array([item.outcome for item in items], dtype=np.float64)
    said = {"chance": _chance(items, y, folds), "length rule": _length_rule(items, y, folds)}
    return said | {"TF-IDF": _words(items, y, folds)}


def _fold(group: str) -> int:
    return int.from_bytes(hashlib.blake2b(group.encode(), digest_size=4).digest()) % FOLDS


def _pairs(items: Sequence[Item]) -> bool:
    return items[0].second is not None


def _chance(items: Sequence[Item], y: Floats, folds: npt.NDArray[np.int64]) -> list[float]:
    """Of pairs, the toss of a coin; of labels, how frequent each is."""
    if _pairs(items):
        return [0.5] * len(items)
    return _in_folds(folds, lambda train, test: np.full(int(test.sum()), y[train].mean()))


def _length_rule(items: Sequence[Item], y: Floats, folds: npt.NDArray[np.int64]) -> list[float]:
    """Of pairs, the longer answer; of labels, what the training fold teaches about length."""
    if _pairs(items):
        return [0.5 + 0.5 * item.longer for item in items]
    size = np.log1p([float(len(item.first)) for item in items])

    def ask(train: npt.NDArray[np.bool_], test: npt.NDArray[np.bool_]) -> Floats:
        scaled = (size - size[train].mean()) / (size[train].std() or 1.0)
        return logistic(scaled[train, None], y[train], scaled[test, None], intercept=True)

    return _in_folds(folds, ask)


def _words(items: Sequence[Item], y: Floats, folds: npt.NDArray[np.int64]) -> list[float]:
    counted = [Counter(_WORD.findall(item.first.lower())) for item in items]
    others = [Counter(_WORD.findall((item.second or "").lower())) for item in items]
    seen = Counter(word for one in (*counted, *others) for word in one)
    kept = sorted((w for w, n in seen.items() if n > 1), key=lambda w: (-seen[w], w))[:WORDS]
    vocabulary = {word: column for column, word in enumerate(kept)}
    first, second = _matrix(counted, vocabulary), _matrix(others, vocabulary)

    def ask(train: npt.NDArray[np.bool_], test: npt.NDArray[np.bool_]) -> Floats:
        texts = np.concatenate([first[train], second[train]]) if _pairs(items) else first[train]
        weights = np.log((1 + len(texts)) / (1 + (texts > 0).sum(axis=0))) + 1
        x = _unit(first * weights)
        if _pairs(items):  # turned around, a pair has the opposite outcome: no intercept
            x = x - _unit(second * weights)
        return logistic(x[train], y[train], x[test], intercept=not _pairs(items))

    return _in_folds(folds, ask)


def _in_folds(
    folds: npt.NDArray[np.int64],
    ask: Callable[[npt.NDArray[np.bool_], npt.NDArray[np.bool_]], Floats],
) -> list[float]:
    """The answers about each fold of a model trained on the others; 0.5 where there are no others."""
    said = np.full(len(folds), 0.5)
    for fold in range(FOLDS):
        test = folds == fold
        if test.any() and not test.all():
            said[test] = ask(~test, test)
    return [float(p) for p in said]


def _matrix(counted: Sequence[Counter[str]], vocabulary: dict[str, int]) -> npt.NDArray[np.float32]:
    matrix = np.zeros((len(counted), max(1, len(vocabulary))), dtype=np.float32)
    for row, words in enumerate(counted):
        for word, count in words.items():
            if (column := vocabulary.get(word)) is not None:
                matrix[row, column] = 1 + np.log(count)
    return matrix


def _unit(matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(norms == 0, 1, norms), dtype=np.float32)


def logistic(
    x: npt.NDArray[np.floating], y: Floats, asked: npt.NDArray[np.floating], *, intercept: bool
) -> Floats:
    """Logistic regression with the usual L2 penalty (C = 1), by Nesterov's gradient; probabilities of 1."""
    if intercept:
        x, asked = (np.hstack([one, np.ones((len(one), 1), one.dtype)]) for one in (x, asked))
    x, asked, outcome = (one.astype(np.float32) for one in (x, asked, y))
    penalty = np.full(x.shape[1], 1 / len(x), dtype=np.float32)
    if intercept:
        penalty[-1] = 0
    curvature = 0.25 * float(np.square(x).sum()) / len(x) + 1 / len(x)  # the trace bounds every direction's
    weights: npt.NDArray[np.floating] = np.zeros(x.shape[1], dtype=np.float32)
    ahead = weights
    for step in range(1, _STEPS + 1):
        gradient = x.T @ (_sigmoid(x @ ahead).astype(np.float32) - outcome) / len(x) + penalty * ahead
        if np.abs(gradient).max() < _STILL:
            break
        before, weights = weights, ahead - gradient / np.float32(curvature)
        ahead = weights + np.float32((step - 1) / (step + 2)) * (weights - before)
    return _sigmoid(asked @ weights)


def _sigmoid(values: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -50, 50))), dtype=np.float64)
