"""The judges of single responses: what each is shown, and the form of its reply.

A material function returns what the judge is to see and the form of its reply, or the verdict where there is
nothing to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Sample, Scope
from r1rewards.core.rows import conversation_of
from r1rewards.core.verdict import Verdict
from r1rewards.judge import parse
from r1rewards.judge.ask import Case
from r1rewards.judge.criteria import Criterion, numbered, rubric_of

Material = Callable[[Sample, str, Sequence[Criterion]], Case | Verdict]


@dataclass(frozen=True, slots=True)
class Kind:
    """One judge.

    material  told the sample, the part of it that counts, and the rubric for rows that bring none
    scope     the part of the response that it sees where nobody says
    tasks     where it applies where nobody says
    """

    material: Material
    scope: Scope
    tasks: frozenset[str]


def _correctness(sample: Sample, text: str, rubric: Sequence[Criterion]) -> Case | Verdict:
    if sample.reference is None or sample.reference == "":
        return Verdict.abstain("there is no reference to compare with", "no_reference")
    if not text.strip():
        return _empty()
    material = _about(sample, answer=text, reference=str(sample.reference))
    return Case(material, parse.CORRECTNESS)


def _helpfulness(sample: Sample, text: str, rubric: Sequence[Criterion]) -> Case | Verdict:
    return Case(_about(sample, answer=text), parse.HELPFULNESS) if text.strip() else _empty()


def _harmlessness(sample: Sample, text: str, rubric: Sequence[Criterion]) -> Case | Verdict:
    return Case(_about(sample, response=text), parse.HARMLESSNESS)


def _rubric(sample: Sample, text: str, rubric: Sequence[Criterion]) -> Case | Verdict:
    try:
        criteria = rubric_of(sample, rubric)
    except GraderError as error:
        return Verdict.error(str(error), "rubric")
    if not criteria:
        return Verdict.abstain("there is no rubric to go by", "no_rubric")
    if not text.strip():
        return _empty()
    form = parse.rubric_form([criterion.points for criterion in criteria])
    return Case(_about(sample, answer=text, criteria=numbered(criteria)), form)


def _about(sample: Sample, **texts: str) -> Mapping[str, str]:
    return {"question": conversation_of(list(sample.prompt)), **texts}


def _empty() -> Verdict:
    return Verdict.of(0.0, "the response gives no answer", "empty")


KINDS: dict[str, Kind] = {
    "correctness": Kind(_correctness, "answer", frozenset({"general"})),
    "helpfulness": Kind(_helpfulness, "answer", frozenset({"general"})),
    "harmlessness": Kind(_harmlessness, "response", frozenset({"safety"})),
    "rubric": Kind(_rubric, "answer", frozenset({"general"})),
}
