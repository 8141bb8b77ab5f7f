"""Bring a model's free-form output into a template, as the cold start does with R1-Zero's outputs."""

from __future__ import annotations

from r1rewards.core.template import TEMPLATES, Template, get_template


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
