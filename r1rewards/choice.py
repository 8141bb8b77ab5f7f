"""Which option does a response choose, and is it the right one?

The letter is looked for where people put it, the surest place first: the last box, a statement ("the answer
is (B)", "option B is correct", "故选B"), a line of its own, the first word of the answer ("B. Paris"), and
last the text of an option without its letter. Naming several options chooses none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.rows import question_of
from r1rewards.core.template import Template, get_template
from r1rewards.core.verdict import Verdict

LETTERS = "ABCDEFGHIJ"

#: How far past a statement its letter may stand.
_REACH = 80
_SEVERAL = "several"

_CUE = re.compile(
    r"(?:\b(?:answers?|choices?|options?|solution|antwort|respuesta|réponse|risposta|resposta)\b"
    r"(?:[ ]\w{1,12})?"
    r"[ *_]{0,4}(?:[:=]|\b(?:is|be|ist|es|est|è|é)\b(?:[ ](?:therefore|thus|clearly|then|indeed))?)"
    r"|\b(?:i|we)(?:'ll|[ ]will|[ ]would|[ ]must)?[ ](?:choose|chose|pick|select|go[ ]with)\b"
    r"|(?:正确)?(?:答案|选项)[ ]?(?:应该)?(?:是|为|：|:)|应?(?:故|该|该当)?选(?:择|项)?[ ]?(?:为|是|：|:)?"
    r"|答え[ ]?(?:は|：|:)|正解[ ]?(?:は|：|:)|ответ\b[ ]?[:—-]?|정답[은:]?)",
    re.IGNORECASE,
)
_VERB = r"(?:is|seems|must[ ]be|should[ ]be|would[ ]be)"
_JUDGED = re.compile(
    r"(?<![A-Za-z0-9])\(?((?-i:[A-J]))\)?[*_]{0,4}[.:]?[ ]"
    rf"{_VERB}[ ](?:therefore[ ]|thus[ ]|clearly[ ]|indeed[ ])?"
    r"(?:the[ ])?(?:only[ ]|most[ ]|best[ ])?(?:correct|right|true|answer|choice|option|appropriate)\b"
    r"|选项[ ]?([A-Ja-j])[ ]?(?:是)?(?:正确|对)",
    re.IGNORECASE,
)
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathsf|bf|rm)\b\s*\{?")
_LEAD = re.compile(r"^(?:(?:option|choice|letter|answer|选项|the)\b\s*|选项\s*|[\s:：=])+", re.IGNORECASE)
_LETTER = re.compile(r"^([A-Ja-j])(?![A-Za-z0-9'’])")
_NEXT = re.compile(
    r"^[\s.]*(?:(?:,|/|;|&|\+|、|，|和|或|与|及|and\b|or\b|und\b|oder\b|y\b|o\b|et\b|ou\b)\s*)+"
    r"(?:option\s|choice\s)?\s*([A-J])(?![A-Za-z0-9'’])"
)
#: What may follow the letter a, which is also an article: the end, a mark, or a word that begins a reason.
_AFTER_A = re.compile(
    r"^\s*(?:$|[^\w\s]|(?:because|since|as|is|which|with|due|for|but|so|and|or|based|given)\b|[\u3040-\u9fff])"
)
_OPTION_LINE = re.compile(
    r"^[ \t]*[*(\[（]{0,3}([A-J])[*]{0,2}[)\].:：．、）][*]{0,2}[ \t]*(\S.*)$", re.MULTILINE
)


def check(
    response: str,
    letter: str,
    *,
    template: str | Template | None = None,
    options: Mapping[str, str] | None = None,
) -> Verdict:
    """1 where the response chooses `letter`, else 0; `route` names the place where the choice was found.

    template  how thinking and answer are laid out; None reads what follows the last `</think>`, or all.
    options   letter to text, where known: then only these letters count, and an option's text alone does too.

    Raises GraderError where `letter` is not one of the letters A to J.
    """
    answer = (
        response.rpartition("</think>")[2]
        if template is None
        else get_template(template).parse(response).answer
    )
    return _judge(answer, letter, options or {})


def _judge(answer: str, letter: str, options: Mapping[str, str]) -> Verdict:
    gold = _gold(letter, options)
    chosen, route = chosen_letter(answer, options)
    if chosen is None:
        reason = "several options are named" if route == _SEVERAL else "no option is chosen"
        return Verdict.of(0.0, reason, route, gold=gold)
    return Verdict.of(chosen == gold, f"chooses {chosen}, the key is {gold}", route, chosen=chosen, gold=gold)


def _gold(letter: str, options: Mapping[str, str]) -> str:
    gold = re.sub(r"[\s().:]", "", letter).upper()
    if len(gold) != 1 or gold not in (options or LETTERS):
        allowed = ", ".join(options) if options else "A to J"
        raise GraderError(
            f"the reference of a choice problem is {letter!r}; it must be one letter of {allowed}"
        )
    return gold


def chosen_letter(answer: str, options: Mapping[str, str] | None = None) -> tuple[str | None, str]:
    """The letter that an answer chooses and where it stood; (None, "several" or "nothing") where none."""
    options = options or {}
    allowed = frozenset(options) or frozenset(LETTERS)
    box = _last_box(answer)
    if box is not None:
        letter = _letter_at(box, allowed, whole=True) or _by_text(box, options)
        if letter is not None:
            return _found(letter, "box")
    stated = _last_statement(answer, allowed)
    if stated is not None:
        return _found(stated, "statement")
    lines = [line for line in answer.splitlines() if line.strip(" \t*_`#>-")]
    for route, line in (("last line", lines[-1]), ("first line", lines[0])) if lines else ():
        letter = _letter_at(line, allowed, whole=True)
        if letter is not None:
            return _found(letter, route)
    return _found(_by_text(answer, options), "option text")


def _found(letter: str | None, route: str) -> tuple[str | None, str]:
    if letter is None:
        return None, "nothing"
    return (None, _SEVERAL) if letter == _SEVERAL else (letter, route)


def _last_box(text: str) -> str | None:
    """What stands in the last closed `\\boxed{}` or `\\fbox{}`."""
    begin = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if begin < 0:
        return None
    begin, depth = text.index("{", begin) + 1, 1
    for at in range(begin, min(len(text), begin + 400)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[begin:at]
    return None


def _last_statement(text: str, allowed: frozenset[str]) -> str | None:
    """The letter of the last statement that has one; a later statement corrects an earlier one."""
    found: tuple[int, str] | None = None
    for cue in _CUE.finditer(text):
        letter = _letter_at(text[cue.end() : cue.end() + _REACH].partition("\n\n")[0], allowed)
        if letter is not None:
            found = cue.end(), letter
    for judged in _JUDGED.finditer(text):
        letter = (judged[1] or judged[2]).upper()
        if letter in allowed and (found is None or judged.start() > found[0]):
            found = judged.start(), letter
    return found[1] if found else None


def _letter_at(fragment: str, allowed: frozenset[str], *, whole: bool = False) -> str | None:
    """The letter that a fragment begins with, `_SEVERAL` where more follow, None where there is none.

    whole  the fragment must be the letter and nothing else, or the letter, a mark and the option's text.
    """
    plain = unicodedata.normalize("NFKC", _WRAPPER.sub("", fragment[:400]))
    plain = re.sub(r"[*_$`\"“”‘{}\[\](<>~#]|\\[()\[\]]", "", plain).replace(")", ".").strip()
    plain = _LEAD.sub("", plain).strip()
    match = _LETTER.match(plain)
    if match is None or match[1].upper() not in allowed:
        return None
    letter, rest = match[1], plain[match.end() :]
    another = _NEXT.match(rest)
    if another and another[1] != letter.upper() and another[1] in allowed:
        return _SEVERAL
    if (letter in "AI" or letter.islower()) and not _AFTER_A.match(rest):
        return None
    if whole and re.match(r"\s+\w", rest):
        return None
    return letter.upper()


def _by_text(answer: str, options: Mapping[str, str]) -> str | None:
    """The option whose text the answer is, or the only one whose text its last line holds."""
    if not options or not answer.strip():
        return None
    said = _plain(answer)
    exact = [letter for letter, text in options.items() if _plain(text) == said]
    if exact:
        return exact[0] if len(exact) == 1 else _SEVERAL
    last = f" {_plain(answer.strip().splitlines()[-1])} "
    held = {letter: _plain(text) for letter, text in options.items() if f" {_plain(text)} " in last}
    # An option may be part of another one ("mass" in "mass and charge"): the longest speaks.
    best = [
        a for a, text in held.items() if not any(text != other and text in other for other in held.values())
    ]
    return None if not best else best[0] if len(best) == 1 else _SEVERAL


def _plain(text: str) -> str:
    """Words and numbers only, in lower case; how an option's text is compared."""
    folded = unicodedata.normalize("NFKC", _WRAPPER.sub(" ", text)).casefold()
    return " ".join(re.findall(r"[\w.+\-/^\\]+", folded)).strip(" .")


def options_in(question: str) -> dict[str, str]:
    """The options that a question lists, a line each ("A. ...", "(B) ..."); empty unless they run A, B."""
    options: dict[str, str] = {}
    for letter, text in _OPTION_LINE.findall(question):
        if letter == LETTERS[len(options) : len(options) + 1]:
            options[letter] = text.strip()
        elif letter == "A":
            options = {"A": text.strip()}
    return options if len(options) > 1 else {}


class ChoiceReward(Reward):
    """`check` on the answer of a choice problem; the options are read from the question."""

    tasks = frozenset({"choice"})
    scope = "answer"

    def check(self, sample: Sample) -> Verdict:
        options = options_in(question_of(list(sample.prompt)))
        return _judge(sample.scoped(self.scope), str(sample.reference), options)
