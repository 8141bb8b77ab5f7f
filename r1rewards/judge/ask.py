"""Asking a judge: a prompt filled with material, and retries until the reply is in form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from r1rewards.core.rows import messages
from r1rewards.core.verdict import Verdict
from r1rewards.llm import Completion, Form, LanguageModel, Request, RequestsFailed, Sampling
from r1rewards.llm.prompt_file import PromptFile

#: Enough for a reasoning judge; the temperature lets a second try differ from the first.
SAMPLING = Sampling(temperature=0.6, top_p=0.95, max_tokens=2048)
RETRIES = 2


@dataclass(frozen=True, slots=True)
class Asking:
    """How a judge is asked.

    prompt_file  a prompt of your own in place of the built-in one; see `r1rewards.llm.prompt_file`
    retries      how often a reply that is not in form is asked for again, each time with another seed
    structured   hold the reply to its JSON schema where the model can be; a model served without a parser
                 for its thinking would be kept from thinking
    """

    prompt_file: str | Path | None = None
    sampling: Sampling = SAMPLING
    retries: int = RETRIES
    structured: bool = True

    def shifted(self, by: int) -> Asking:
        """The same with other seeds, which no retry of the first reaches: for another opinion."""
        seed = (self.sampling.seed or 0) + by * (self.retries + 1)
        return replace(self, sampling=replace(self.sampling, seed=seed))


@dataclass(frozen=True, slots=True)
class Case:
    """What a judge is to see, texts by the names of the prompt's placeholders, and the form of its reply."""

    material: Mapping[str, str]
    form: Form


class Judge:
    """One prompt over one model.

    name  of the built-in prompt, a .txt file beside this module
    """

    def __init__(self, name: str, model: LanguageModel, asking: Asking = Asking()) -> None:
        self._prompt = PromptFile(asking.prompt_file or Path(__file__).with_name(f"{name}.txt"))
        self._model, self._asking = model, asking

    def ask(self, cases: Sequence[Case]) -> list[Verdict]:
        """One verdict for each case, in order. The same material gets the same seeds anywhere."""
        prompts = [messages(self._prompt.fill(case.material)) for case in cases]
        forms = [case.form if self._asking.structured else replace(case.form, schema=None) for case in cases]
        verdicts: dict[int, Verdict] = {}
        replies: dict[int, Completion] = {}
        for attempt in range(self._asking.retries + 1):
            open_ = [i for i in range(len(cases)) if i not in verdicts]
            if not open_:
                break
            sampling = replace(self._asking.sampling, seed=(self._asking.sampling.seed or 0) + attempt)
            requests = [Request(prompts[i], sampling, forms[i]) for i in open_]
            try:
                for place, completion in self._model.generate(requests):
                    i = open_[place]
                    replies[i] = completion
                    verdict = _read(forms[i], completion)
                    if verdict is not None:
                        verdicts[i] = verdict
            except RequestsFailed as error:
                for place, why in error.failures.items():
                    verdicts[open_[place]] = Verdict.error(f"the judge could not be asked: {why}", "call")
        return [verdicts.get(i) or self._failure(replies.get(i)) for i in range(len(cases))]

    def _failure(self, last: Completion | None) -> Verdict:
        if last is None:
            return Verdict.error("the judge gave no reply", "no_reply")
        cut = " and its last reply was cut off" if last.finish_reason == "length" else ""
        tries = self._asking.retries + 1
        problem = f"the judge did not answer in form, asked {tries} times{cut}"
        return Verdict.error(problem, "form", reply=last.text[-500:])


def _read(form: Form, completion: Completion) -> Verdict | None:
    """The verdict in a reply; no more tries are worth it where the prompt does not fit."""
    if completion.finish_reason == "prompt_too_long":
        return Verdict.error("the judge's prompt is longer than the judge can read", "too_long")
    verdict: Verdict | None = form.read(completion.text)
    return verdict
