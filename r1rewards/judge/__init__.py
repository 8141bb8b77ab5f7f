"""Judges: a language model grades what rules cannot. Each is a prompt in a text file and a parser.

    verdicts = judge.correctness(samples, engine)          # DeepSeek-R1's judge of stage 3

    pairs = Judge(PREFERENCE, parse.preference, engine)    # pairwise, Arena-Hard's labels
    verdicts = pairs.ask([{"question": ..., "answer_a": ..., "answer_b": ...}])

The text under judgement is hostile: it may say "this answer is correct". `r1rewards.llm.prompt_file` fences
it in. A reply that is not in form is asked for again, then it is an error verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample
from r1rewards.core.rows import messages, question_of
from r1rewards.core.settings import suggest
from r1rewards.core.verdict import Verdict
from r1rewards.judge import parse
from r1rewards.llm import LanguageModel, Request, Sampling
from r1rewards.llm.prompt_file import PromptFile

__all__ = ["PREFERENCE", "Judge", "correctness", "harmlessness", "helpfulness", "judged", "parse"]

Parser = Callable[[str], Verdict | None]

#: Enough for a reasoning judge; the temperature lets a second try differ from the first.
SAMPLING = Sampling(temperature=0.6, top_p=0.95, max_tokens=2048)
#: The prompt of the pairwise judge, whose parser is `parse.preference`.
PREFERENCE = Path(__file__).with_name("preference.txt")
#: Samples judged together by `judged`.
BATCH = 512


class Judge:
    """One prompt and one parser over one model.

    prompt_file  see `r1rewards.llm.prompt_file`
    parser       the reply as a verdict, None where it is not in form
    retries      how often a reply that is not in form is asked for again, each time with another seed
    """

    def __init__(
        self,
        prompt_file: str | Path,
        parser: Parser,
        model: LanguageModel,
        *,
        sampling: Sampling = SAMPLING,
        retries: int = 2,
    ) -> None:
        self._prompt, self._parser, self._model = PromptFile(prompt_file), parser, model
        self._sampling, self._retries = sampling, retries

    def ask(self, materials: Sequence[Mapping[str, str]]) -> list[Verdict]:
        """One verdict for each mapping of names to texts. The same material gets the same seeds anywhere."""
        prompts = [self._prompt.fill(material) for material in materials]
        verdicts: dict[int, Verdict] = {}
        replies: dict[int, str] = {}
        for attempt in range(self._retries + 1):
            open_ = [i for i in range(len(prompts)) if i not in verdicts]
            sampling = replace(self._sampling, seed=(self._sampling.seed or 0) + attempt)
            requests = [Request(messages(prompts[i]), sampling) for i in open_]
            for place, completion in self._model.generate(requests) if requests else ():
                i = open_[place]
                replies[i] = completion.text
                if (verdict := self._parser(completion.text)) is not None:
                    verdicts[i] = verdict
        return [verdicts.get(i) or self._failure(replies.get(i)) for i in range(len(prompts))]

    def _failure(self, reply: str | None) -> Verdict:
        if reply is None:
            return Verdict.error("the judge gave no reply", "no_reply")
        problem = f"the judge did not answer in form, asked {self._retries + 1} times"
        return Verdict.error(problem, "form", reply=reply[-500:])


def _correctness_material(sample: Sample) -> Mapping[str, str] | Verdict:
    if sample.reference is None or sample.reference == "":
        return Verdict.abstain("there is no reference to compare with", "no_reference")
    if not sample.trace.answer:
        return Verdict.of(0.0, "the response gives no answer", "empty")
    question, reference = question_of(list(sample.prompt)), str(sample.reference)
    return {"question": question, "reference": reference, "answer": sample.trace.answer}


def _helpfulness_material(sample: Sample) -> Mapping[str, str] | Verdict:
    if not sample.trace.answer:
        return Verdict.of(0.0, "the response gives no answer", "empty")
    return {"question": question_of(list(sample.prompt)), "answer": sample.trace.answer}


def _harmlessness_material(sample: Sample) -> Mapping[str, str] | Verdict:
    return {"question": question_of(list(sample.prompt)), "response": sample.text}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A judge of single responses: how its reply is read, and what it is shown (or the verdict unasked)."""

    parser: Parser
    material: Callable[[Sample], Mapping[str, str] | Verdict]


KINDS = {
    "correctness": _Kind(parse.correctness, _correctness_material),
    "helpfulness": _Kind(parse.helpfulness, _helpfulness_material),
    "harmlessness": _Kind(parse.harmlessness, _harmlessness_material),
}


def judged(
    kind: str,
    samples: Iterable[Sample],
    model: LanguageModel,
    *,
    prompt_file: str | Path | None = None,
    sampling: Sampling = SAMPLING,
    retries: int = 2,
) -> Iterator[Verdict]:
    """A verdict for each sample, in order, asked `BATCH` samples at a time.

    kind         correctness, helpfulness or harmlessness
    prompt_file  a prompt of your own in place of the built-in one
    """
    if kind not in KINDS:
        raise UserError(f"there is no judge {kind!r}{suggest(kind, KINDS)}")
    chosen, own = KINDS[kind], Path(__file__).with_name(f"{kind}.txt")
    judge = Judge(prompt_file or own, chosen.parser, model, sampling=sampling, retries=retries)
    rest = iter(samples)
    while batch := list(islice(rest, BATCH)):
        shown = [chosen.material(sample) for sample in batch]
        asked = iter(judge.ask([material for material in shown if not isinstance(material, Verdict)]))
        yield from (material if isinstance(material, Verdict) else next(asked) for material in shown)


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
