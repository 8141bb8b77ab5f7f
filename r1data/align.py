"""Bring responses into a template: R1-Zero's outputs, as the cold start does, and other people's."""

from __future__ import annotations

from r1rewards.core.template import TEMPLATES, Template, get_template

#: How some data sets mark thinking and answer; the first is OpenThoughts'.
_MARKERS = (
    ("<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<Thought>", "</Thought>", "<Output>", "</Output>"),
    ("## Thinking", "## Final Response", "", ""),
)


def align(text: str, template: str | Template, *, answer: str | None = None) -> str | None:
    """The output laid out by `template`, or None where that cannot be done without inventing something.

    An output that is well formed in any template keeps its reasoning and its answer. Any other becomes the
    reasoning, freed of stray tags, and `answer` becomes the answer: what the lenient grader extracted
    (`r1rewards.math.check(...).details`). An output that was opened and never closed is cut off: None.
    """
    template = get_template(template)
    for known in (template, *TEMPLATES.values()):
        trace = known.parse(text)
        if trace.well_formed:
            return template.render(trace.reasoning, trace.answer)
    if any("unclosed_reasoning" in known.parse(text).faults for known in TEMPLATES.values()):
        return None
    reasoning = text
    for known in TEMPLATES.values():
        for tag in (*known.reasoning_tags, *(known.answer_tags or ())):
            reasoning = reasoning.replace(tag, "\n")
    if not reasoning.strip() or not answer or not answer.strip():
        return None
    return template.render(reasoning, answer)


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
