"""Other people's responses in our layouts."""

from __future__ import annotations

from r1data.align import align
from r1rewards.core.template import Template

#: How some data sets mark thinking and answer; the first is OpenThoughts'.
_MARKERS = (
    ("<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<Thought>", "</Thought>", "<Output>", "</Output>"),
    ("## Thinking", "## Final Response", "", ""),
)


def laid_out(text: str, template: Template) -> tuple[str, bool]:
    """A response in the layout of `template`, and whether it thinks; known marks are read."""
    for head, tail, answer_head, answer_tail in _MARKERS:
        before, opened, rest = text.partition(head)
        reasoning, closed, answer = rest.partition(tail)
        if opened and closed and not before.strip():
            answer = answer.replace(answer_head, "").replace(answer_tail, "") if answer_head else answer
            return template.render(reasoning, answer), True
    aligned = align(text, template)
    if aligned is not None:
        return aligned, True
    if any(tag in text for tag in template.reasoning_tags):
        return text, True  # broken thinking: for `curate` to name
    return template.render("", text, thinking=False), False
