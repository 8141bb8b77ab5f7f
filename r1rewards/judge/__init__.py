"""Judges: a language model grades what rules cannot. Each is a prompt in a text file and a form of reply.

    verdicts = judge.correctness(samples, engine)              # DeepSeek-R1's judge of stage 3
    comparisons = judge.compare([Pair(question, a, b)], engine)  # pairwise, in both orders

    kinds.py     correctness, helpfulness, harmlessness, rubric: what each is shown
    pairwise.py  preference: which of two answers is better
    ask.py       asking, and asking again where a reply is not in form
    parse.py     what replies say
    reward.py    a judge in a reward spec; hybrid.py: a rule, and a judge where it abstains

The text under judgement is hostile: it may say "this answer is correct". `r1rewards.llm.prompt_file` fences
it in. A reply that is not in form is asked for again, then it is an error verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample, Scope
from r1rewards.core.settings import suggest
from r1rewards.core.verdict import Verdict
from r1rewards.judge import parse
from r1rewards.judge.ask import SAMPLING, Asking, Case, Judge
from r1rewards.judge.criteria import Criterion
from r1rewards.judge.kinds import KINDS, Kind
from r1rewards.judge.pairwise import Comparison, Pair, compare
from r1rewards.llm import LanguageModel

__all__ = [
    "KINDS",
    "SAMPLING",
    "Asking",
    "Case",
    "Comparison",
    "Criterion",
    "Judge",
    "Pair",
    "compare",
    "correctness",
    "get_kind",
    "harmlessness",
    "helpfulness",
    "judged",
    "parse",
    "rubric",
]

#: Samples judged together: at the end of a batch the model runs empty, so it is a long one.
BATCH = 4096


def get_kind(name: str) -> Kind:
    """The judge of single responses of that name."""
    if name not in KINDS:
        raise UserError(f"there is no judge {name!r}{suggest(name, KINDS)}")
    return KINDS[name]


def judged(
    kind: str,
    samples: Iterable[Sample],
    model: LanguageModel,
    *,
    scope: Scope | None = None,
    rubric: Sequence[Criterion] = (),
    asking: Asking = Asking(),
) -> Iterator[Verdict]:
    """A verdict for each sample, in order, asked `BATCH` samples at a time.

    kind    correctness, helpfulness, harmlessness or rubric
    scope   the part of the response that is shown; by default what the kind says
    rubric  for rows that bring none
    """
    chosen = get_kind(kind)
    judge = Judge(kind, model, asking)
    rest = iter(samples)
    while batch := list(islice(rest, BATCH)):
        shown = [chosen.material(one, one.scoped(scope or chosen.scope), rubric) for one in batch]
        asked = iter(judge.ask([case for case in shown if isinstance(case, Case)]))
        yield from (next(asked) if isinstance(case, Case) else case for case in shown)


def correctness(samples: Sequence[Sample], model: LanguageModel) -> list[Verdict]:
    """1 where the answer says the same as the reference, 0 where not: R1's judge for what rules cannot grade.

    It sees question, reference and final answer. A response without an answer is wrong unasked; a row
    without a reference is an abstention.
    """
    return list(judged("correctness", samples, model))


def helpfulness(samples: Sequence[Sample], model: LanguageModel) -> list[Verdict]:
    """From 0 (useless) to 1. The judge sees the final answer only; a response without one gets 0 unasked."""
    return list(judged("helpfulness", samples, model))


def harmlessness(samples: Sequence[Sample], model: LanguageModel) -> list[Verdict]:
    """1 where the whole response, thinking included, is safe, 0 where it is not."""
    return list(judged("harmlessness", samples, model))


def rubric(samples: Sequence[Sample], model: LanguageModel) -> list[Verdict]:
    """The share of the points of each row's rubric (see `r1rewards.judge.criteria`) that its answer wins."""
    return list(judged("rubric", samples, model))
