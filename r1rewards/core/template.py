"""How reasoning and answer are laid out in a response, and the one parser that takes it apart.

Three layouts, by name (DeepSeek-R1, arXiv 2501.12948: the first is R1-Zero's prompt, the second is R1's,
the third is the write-up of the cold start):

    think-answer        <think> reasoning </think> <answer> answer </answer>
    think-summary       <think> reasoning </think> answer
    reasoning-summary   <reasoning_process> reasoning </reasoning_process> <summary> answer </summary>

The parser only searches for fixed strings, so it is linear in the text whatever the text holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.rows import Message, messages


@dataclass(frozen=True, slots=True)
class Trace:
    """A response taken apart.

    reasoning    the text inside the thinking tags, stripped; empty where there is none
    answer       what a reader gets after the thinking, stripped; empty while the thinking is not closed
    well_formed  the response has exactly the layout of its template
    faults       why it has not, by name, in a fixed order (see `FAULTS`)
    """

    reasoning: str
    answer: str
    well_formed: bool
    faults: tuple[str, ...]


FAULTS: dict[str, str] = {
    "no_reasoning": "the opening tag of the thinking is missing",
    "unclosed_reasoning": "the thinking is opened and never closed",
    "unopened_reasoning": "the thinking is closed and was never opened",
    "no_answer": "the answer tag is missing",
    "unclosed_answer": "the answer tag is opened and never closed",
    "unopened_answer": "the answer tag is closed and was never opened",
    "repeated_tag": "a tag stands there more than once",
    "wrong_order": "the tags are not in the order of the template",
    "text_outside": "text stands before, between or after the tags",
    "empty_reasoning": "nothing stands inside the thinking tags",
    "empty_answer": "the answer is empty",
    "unwanted_reasoning": "the row asks for no thinking and the response thinks",
}


@dataclass(frozen=True, slots=True)
class Template:
    """One layout: its tags, and the prompt text that asks for it, by language."""

    name: str
    reasoning_tags: tuple[str, str]
    answer_tags: tuple[str, str] | None
    prompts: dict[str, tuple[str, str]]

    def render(self, reasoning: str, answer: str, *, thinking: bool = True) -> str:
        """A well-formed response; with `thinking=False` the form without reasoning."""
        if self.answer_tags is not None:
            answer = f"{self.answer_tags[0]}{answer.strip()}{self.answer_tags[1]}"
        if not thinking:
            return answer.strip()
        head, tail = self.reasoning_tags
        return f"{head}\n{reasoning.strip()}\n{tail}\n{answer.strip()}"

    def join(self, reasoning: str | None, content: str) -> str:
        """The whole response of an endpoint that returns its thinking apart (`reasoning_content`)."""
        if not reasoning:
            return content
        return f"{self.reasoning_tags[0]}\n{reasoning.strip()}\n{self.reasoning_tags[1]}\n{content.lstrip()}"

    def text_of(self, completion: str | Sequence[Mapping[str, Any]]) -> str:
        """The text of a completion: the string itself, or what the last assistant message of a list says.

        Thinking that stands in a field of its own (`reasoning_content`, TRL's `thinking`) is joined back in.
        """
        if isinstance(completion, str):
            return completion
        spoken = [message for message in completion if message.get("role") == "assistant"]
        message: Mapping[str, Any] = spoken[-1] if spoken else {}
        content = message.get("content") or ""
        if not isinstance(content, str):
            content = "".join(part.get("text") or "" for part in content)
        return self.join(message.get("reasoning_content") or message.get("thinking"), content)

    def instruction(self, language: str = "en", *, thinking: bool = True) -> str:
        """The prompt text that asks for this layout; English where the language has no text of its own."""
        think, answer = self.prompts.get(language, self.prompts["en"])
        return think if thinking else answer

    def ask(
        self, prompt: str | Sequence[Message], language: str = "en", *, thinking: bool = True
    ) -> list[Message]:
        """The conversation that a model is given: the instruction as the system turn, then the prompt."""
        turns = list(messages(prompt) if isinstance(prompt, str) else prompt)
        text = self.instruction(language, thinking=thinking)
        if turns and turns[0]["role"] == "system":
            text = f"{turns.pop(0)['content']}\n{text}"
        return [{"role": "system", "content": text}, *turns] if text else turns

    def parse(self, text: str, *, prefilled: bool = False, thinking: bool = True) -> Trace:
        """Take a response apart.

        prefilled  the chat template already wrote the opening tag into the prompt, so that the completion
                   starts inside the thinking; the tag is accepted, not required. Without thinking the
                   chat template closes what it opened, and the completion is only the answer.
        thinking   False where the row says `thinking: none`: then only an answer is well formed, alone or
                   after the empty pair of tags that some chat templates write.
        """
        head, tail = self.reasoning_tags
        if prefilled and thinking and not text.lstrip().startswith(head):
            text = head + text
        faults: set[str] = set()
        opened, closed = text.find(head), text.rfind(tail)
        if text.count(head) > 1 or text.count(tail) > 1:
            faults.add("repeated_tag")
        if closed >= 0 and opened > closed:
            faults.add("wrong_order")
        reasoning, rest = "", text
        if closed >= 0:
            begins = opened + len(head) if 0 <= opened < closed else 0
            reasoning, rest = text[begins:closed], text[closed + len(tail) :]
            if opened < 0:
                faults.add("unopened_reasoning")
        elif opened >= 0:
            reasoning, rest = text[opened + len(head) :], ""
            faults.add("unclosed_reasoning")
        elif thinking:
            faults.add("no_reasoning")
        if opened > 0 and text[:opened].strip():
            faults.add("text_outside")
            if any(tag in text[:opened] for tag in self.answer_tags or ()):
                faults.add("wrong_order")
        answer = self._answer(rest, reasoning, faults)
        if not thinking and not _blank(reasoning):
            faults.add("unwanted_reasoning")
        elif thinking and opened >= 0 and _blank(reasoning):
            faults.add("empty_reasoning")
        if _blank(answer) and "unclosed_reasoning" not in faults:
            faults.add("empty_answer")
        ordered = tuple(name for name in FAULTS if name in faults)
        return Trace(reasoning.strip(), answer, not ordered, ordered)

    def _answer(self, rest: str, reasoning: str, faults: set[str]) -> str:
        """The answer in what follows the thinking; of several complete ones the last, as a reader would."""
        if self.answer_tags is None or "unclosed_reasoning" in faults:
            return rest.strip()
        head, tail = self.answer_tags
        if head in reasoning or tail in reasoning:
            faults.add("wrong_order")
        if rest.count(head) > 1 or rest.count(tail) > 1:
            faults.add("repeated_tag")
        closed = rest.rfind(tail)
        opened = rest.rfind(head, 0, closed) if closed >= 0 else rest.rfind(head)
        if opened < 0:
            faults.add("no_answer" if closed < 0 else "unopened_answer")
            return (rest if closed < 0 else rest[:closed]).strip()
        if rest[: rest.find(head)].strip():
            faults.add("text_outside")
        if closed < 0:
            faults.add("unclosed_answer")
            return rest[opened + len(head) :].strip()
        if rest[closed + len(tail) :].strip():
            faults.add("text_outside")
        return rest[opened + len(head) : closed].strip()


#: A character that can be seen; white space and invisible characters are nothing.
_VISIBLE = re.compile(
    "[^\\s\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)


def _blank(text: str) -> bool:
    return _VISIBLE.search(text) is None


def _prompts(reasoning: tuple[str, str], answer: tuple[str, str] | None) -> dict[str, tuple[str, str]]:
    """By language, the text that asks for thinking and an answer, and the one for an answer alone."""
    (r0, r1), (a0, a1) = reasoning, answer or ("", "")
    en_answer = f"then give the answer inside {a0} {a1}" if answer else f"then give the answer after {r1}"
    zh_answer = f"再把答案写在 {a0} {a1} 里" if answer else f"再在 {r1} 之后给出答案"
    return {
        "en": (
            f"Think step by step inside {r0} {r1}, {en_answer}.",
            f"Give the answer inside {a0} {a1}." if answer else "",
        ),
        "zh": (
            f"请先在 {r0} {r1} 里一步一步思考，{zh_answer}。",
            f"请把答案写在 {a0} {a1} 里。" if answer else "",
        ),
    }


def _template(name: str, reasoning: tuple[str, str], answer: tuple[str, str] | None) -> Template:
    return Template(name, reasoning, answer, _prompts(reasoning, answer))


TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        _template("think-answer", ("<think>", "</think>"), ("<answer>", "</answer>")),
        _template("think-summary", ("<think>", "</think>"), None),
        _template(
            "reasoning-summary", ("<reasoning_process>", "</reasoning_process>"), ("<summary>", "</summary>")
        ),
    )
}


def get_template(name: str | Template) -> Template:
    """The template of that name."""
    if isinstance(name, Template):
        return name
    if name not in TEMPLATES:
        raise UserError(f"there is no template {name!r}; use one of {', '.join(TEMPLATES)}")
    return TEMPLATES[name]
