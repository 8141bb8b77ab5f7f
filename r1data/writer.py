"""A model that writes what a prompt file asks for; a reply that is not in form is asked for again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from r1rewards.core.rows import messages
from r1rewards.llm import Form, LanguageModel, Request, Sampling
from r1rewards.llm.prompt_file import PromptFile

#: The prompts that come with r1data.
PROMPTS = Path(__file__).parent / "prompts"


@dataclass(frozen=True, slots=True)
class Writer:
    """retries   how often such a reply is asked for again, each time with another seed"""

    model: LanguageModel
    sampling: Sampling
    retries: int

    def write(
        self,
        prompt: PromptFile,
        materials: Sequence[Mapping[str, str]],
        read: Callable[[str], str | None],
        *,
        seed: int = 0,
    ) -> list[str | None]:
        """What the model wrote about each material, by `read`; None where no reply was in form."""
        asked = [messages(prompt.fill(material)) for material in materials]
        written: list[str | None] = [None] * len(asked)
        for attempt in range(self.retries + 1):
            open_ = [i for i, text in enumerate(written) if text is None]
            sampling = replace(self.sampling, seed=(self.sampling.seed or 0) + seed + attempt)
            requests = [Request(asked[i], sampling, Form(read)) for i in open_]
            for place, completion in self.model.generate(requests) if requests else ():
                written[open_[place]] = read(completion.text)
        return written


def spoken(reply: str) -> str:
    """A reply without the model's own thinking before it."""
    _, thought, said = reply.rpartition("</think>")
    return said if thought or "<think>" not in reply else ""
