"""The 25 kinds of verifiable instructions of IF-Eval (arXiv 2311.07911, appendix), by their published names.

A kind is a function of the answer and of the instruction's arguments, which are named as in the data set. It
returns what is wrong, in words for a reader, or None where the instruction is followed. Texts that a model
wrote are only searched: by fixed strings, and by patterns that are linear in them.

The published checker counts otherwise in four places: it asks NLTK for sentences and words in capitals, ours
are the rules of `prose`; it takes keywords for regular expressions, here they are fixed strings; a bold word
in a bullet point is two highlights to it; and its langdetect has no seed.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from r1rewards.core.errors import GraderError
from r1rewards.core.settings import suggest
from r1rewards.instructions import prose

#: What is wrong with the answer; None where nothing is.
Fault = str | None

_PLACEHOLDER = re.compile(r"\[[^\[\]\n]*\]")
_BULLET = re.compile(r"^[ \t]*(?:\*[^*]|-).*$", re.MULTILINE)
_MARKED, _STRONG = re.compile(r"\*([^\n*]*)\*"), re.compile(r"\*\*([^\n*]+)\*\*")
_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_RELATIONS = ("at least", "less than")
_FENCE = re.compile(r"^```(?:json)?\s*\n?|\n?```$", re.IGNORECASE)


def existence(text: str, *, keywords: Sequence[str]) -> Fault:
    missing = [word for word in keywords if word.casefold() not in text.casefold()]
    return f"{_quoted(missing)} missing" if missing else None


def frequency(text: str, *, keyword: str, frequency: int, relation: str) -> Fault:
    found = text.casefold().count(keyword.strip().casefold())
    return _compared(found, relation, frequency, f"times {keyword!r}")


def forbidden_words(text: str, *, forbidden_words: Sequence[str]) -> Fault:
    found = [word for word in forbidden_words if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)]
    return f"{_quoted(found)} in it" if found else None


def letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: str) -> Fault:
    """Of either case; IF-Eval has signs such as # among its letters."""
    return _compared(text.lower().count(letter.lower()), let_relation, let_frequency, f"times {letter!r}")


def response_language(text: str, *, language: str) -> Fault:
    """The language that most of the text is in; a text that has none, such as "42", offends no wish."""
    found = prose.language_of(text)
    if found is None or language in (found, found.partition("-")[0]):
        return None
    return f"it is in {found}, not in {language}"


def number_sentences(text: str, *, num_sentences: int, relation: str) -> Fault:
    return _compared(prose.sentences(text), relation, num_sentences, "sentences")


def number_words(text: str, *, num_words: int, relation: str) -> Fault:
    return _compared(len(re.findall(r"\w+", text)), relation, num_words, "words")


def number_paragraphs(text: str, *, num_paragraphs: int) -> Fault:
    """Paragraphs set apart by the divider `***`; before the first and behind the last one may stand, too."""
    paragraphs = [part.strip() for part in text.split("***")]
    inner = paragraphs[1:-1]
    if not all(inner):
        return "two dividers have nothing between them"
    return _exactly(sum(map(bool, paragraphs)), num_paragraphs, "paragraphs")


def nth_paragraph_first_word(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> Fault:
    """Paragraphs set apart by two line breaks."""
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
    if len(paragraphs) != num_paragraphs:
        return _exactly(len(paragraphs), num_paragraphs, "paragraphs")
    words = paragraphs[nth_paragraph - 1].split() if 0 < nth_paragraph <= len(paragraphs) else []
    first = re.split(r"[.,?!'\"]", words[0].lstrip("'\""), maxsplit=1)[0].lower() if words else ""
    wrong = f"paragraph {nth_paragraph} begins with {first!r}, not with {first_word.lower()!r}"
    return None if first == first_word.lower() else wrong


def number_placeholders(text: str, *, num_placeholders: int) -> Fault:
    return _compared(len(_PLACEHOLDER.findall(text)), "at least", num_placeholders, "placeholders")


def postscript(text: str, *, postscript_marker: str) -> Fault:
    """The marker, with spaces between its letters or without."""
    wanted = re.sub(r"\s", "", postscript_marker).lower()
    return None if wanted in re.sub(r"\s", "", text).lower() else f"no {postscript_marker}"


def number_bullet_lists(text: str, *, num_bullets: int) -> Fault:
    return _exactly(len(_BULLET.findall(text)), num_bullets, "bullet points")


def constrained_response(text: str) -> Fault:
    return None if any(answer in text for answer in _ANSWERS) else f"none of {_quoted(_ANSWERS)}"


def number_highlighted_sections(text: str, *, num_highlights: int) -> Fault:
    """*So* or **so**, on one line."""
    strong = [found for found in _STRONG.findall(text) if found.strip()]
    marked = [found for found in _MARKED.findall(_STRONG.sub("", text)) if found.strip()]
    return _compared(len(strong) + len(marked), "at least", num_highlights, "highlighted parts")


def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> Fault:
    """Sections that begin with the given word and a number: "SECTION 1"."""
    found = re.findall(rf"{re.escape(section_spliter.strip())}\s?\d", text)
    return _compared(len(found), "at least", num_sections, "sections")


def json_format(text: str) -> Fault:
    """The whole answer, with a fence of code around it or without."""
    bare = _FENCE.sub("", text.strip()).strip()
    try:
        json.loads(bare)
    except (ValueError, RecursionError) as error:
        return f"no JSON ({error})"
    return None


def title(text: str) -> Fault:
    for line in text.splitlines():
        begin, end = line.find("<<"), line.rfind(">>")
        if 0 <= begin < end and line[begin:end].strip("<> "):
            return None
    return "no title in <<double brackets>>"


def two_responses(text: str) -> Fault:
    """Two different answers with six asterisks between them."""
    parts = [part.strip() for part in text.split("******")]
    answers = [part for at, part in enumerate(parts) if part or 0 < at < len(parts) - 1]
    if len(answers) != 2 or not all(answers):
        return _exactly(sum(map(bool, answers)), 2, "answers") or "six asterisks with nothing between them"
    return "both answers are the same" if answers[0] == answers[1] else None


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> Fault:
    begins = text.strip().lower().startswith(prompt_to_repeat.strip().lower())
    return None if begins else "it does not begin with the request word for word"


def end_checker(text: str, *, end_phrase: str) -> Fault:
    """Quotation marks around the answer do not count."""
    ends = text.strip().strip('"').lower().endswith(end_phrase.strip().lower())
    return None if ends else f"it does not end with {end_phrase!r}"


def capital_word_frequency(text: str, *, capital_frequency: int, capital_relation: str) -> Fault:
    return _compared(prose.capital_words(text), capital_relation, capital_frequency, "words in capitals")


def english_capital(text: str) -> Fault:
    return _english(text) if text.isupper() else "not all in capital letters"


def english_lowercase(text: str) -> Fault:
    return _english(text) if text.islower() else "not all in small letters"


def no_comma(text: str) -> Fault:
    return "a comma in it" if "," in text else None


def quotation(text: str) -> Fault:
    bare = text.strip()
    around = len(bare) > 1 and bare[0] == bare[-1] == '"'
    return None if around else "not inside double quotation marks"


KINDS: dict[str, Callable[..., Fault]] = {
    "keywords:existence": existence,
    "keywords:frequency": frequency,
    "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:number_words": number_words,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:json_format": json_format,
    "detectable_format:title": title,
    "combination:two_responses": two_responses,
    "combination:repeat_prompt": repeat_prompt,
    "startend:end_checker": end_checker,
    "startend:quotation": quotation,
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "punctuation:no_comma": no_comma,
}


def checker(instruction: Any) -> Callable[[str], Fault]:
    """What checks an answer by one instruction, its `kind` beside its arguments.

    Raises GraderError for an unknown kind, and for arguments that are missing, unknown or of another type.
    """
    kind = instruction.get("kind") if isinstance(instruction, Mapping) else None
    if kind not in KINDS:
        raise GraderError(f"there is no instruction {kind!r}{suggest(str(kind), KINDS)}")
    given = {name: value for name, value in instruction.items() if name != "kind" and value is not None}
    wanted = _arguments(kind)
    for name in given.keys() - wanted.keys():
        raise GraderError(f"the instruction {kind} has no argument {name!r}{suggest(name, wanted)}")
    for name, type_ in wanted.items():
        if name not in given:
            raise GraderError(f"the instruction {kind} needs the argument {name!r}")
        given[name] = _read(given[name], type_, f"{kind}: {name}")
    return partial(KINDS[kind], **given)


@cache
def _arguments(kind: str) -> dict[str, Any]:
    """The arguments of an instruction, with their types."""
    parameters = inspect.signature(KINDS[kind], eval_str=True).parameters
    return {name: entry.annotation for name, entry in parameters.items() if name != "text"}


def _read(value: Any, wanted: Any, where: str) -> Any:
    """The argument, if it is of the type wanted; whole numbers may come as 3.0, as from a table."""
    if wanted is int:
        if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
            return int(value)
    elif wanted is str:
        if where.endswith("relation") and value not in _RELATIONS:
            raise GraderError(f"{where} is {value!r}; it is one of {', '.join(_RELATIONS)}")
        if isinstance(value, str) and value.strip():
            return value
    elif isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        return list(value)
    raise GraderError(f"{where} is {value!r}, which cannot be checked")


def _compared(found: int, relation: str, wanted: int, what: str) -> Fault:
    followed = found >= wanted if relation == "at least" else found < wanted
    return None if followed else f"{found} {what}, {relation} {wanted} wanted"


def _exactly(found: int, wanted: int, what: str) -> Fault:
    return None if found == wanted else f"{found} {what}, {wanted} wanted"


def _english(text: str) -> Fault:
    return response_language(text, language="en")


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words))
