"""Which option does a response choose, and is it the right one?

The letter is looked for where people put it, the surest place first: the last box, a statement ("the answer
is (B)", "option B is correct", "故选B"), a line of its own, the first word of the answer ("B. Paris"), a
letter that stands for itself in the last line ("so B", "15 cm (B)"), and last the text of an option without
its letter. Naming several options, or only what it is not, chooses none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.rows import question_of
from r1rewards.core.template import Template, get_template
from r1rewards.core.verdict import Verdict

#: The letters of options that are not known; a question may list more, and a reference name one beyond.
LETTERS = "ABCDEFGHIJ"

#: How far past a statement its letter may stand.
_REACH = 80
#: Of an answer longer than this only the end is read.
_READ = 10_000
_SEVERAL = "several"

#: What may stand between "the answer is" and its letter.
_FILLER = (
    r"(?:(?:therefore|thus|hence|clearly|then|indeed|actually|definitely|certainly|probably|likely|simply"
    r"|obviously|surely|just|now|most|therefore,)[ ])*"
)
_IS = r"(?:is|was|be|it's|its|(?:has|have|needs|ought|appears|seems|got)[ ]to[ ]be|equals|ist|es|est|è|é)"
#: What comes before the letter of a statement, whatever follows it.
_CUE = re.compile(
    r"(?:\b(?:answers?|ans|choices?|options?|letter|solution|antwort|respuesta|réponse|risposta|resposta"
    r"|(?:correct|right|best|true|false|appropriate)[ ](?:one|statement|response|pick|conclusion))\b"
    r"(?:[ ](?!not\b|cannot\b|never\b|isn|can't|won't)\w{1,12}){0,4}?"
    rf"\s{{0,4}}(?:[:=→—-]|\b{_IS}(?!\w|')[ ]?{_FILLER}:?)"
    r"|\b(?:i|we)(?:'ll|'d|[ ]will|[ ]would|[ ]must|[ ]should)?[ ]"
    r"(?:choose|chose|pick|select|guess|say|go[ ](?:with|for))\b"
    r"|(?<![\w'])(?:choose|pick|select)\b|\b(?:corresponds?|points?|leads?)[ ]to\b|\bmatch(?:es)?\b"
    r"|\bans\.[ ]|(?:答案|选项|選項)\)?[ ]?(?:应该|應該|应|應|就)?(?:是|为|為|选|選|:)?"
    r"|(?:正确|正確)的(?:答案|选项|選項|说法|結論|结论)?[ ]?(?:应该|應該|应|應|就)?(?:是|为|為|:)"
    r"|(?:认为|觉得|而|即)是?|(?:选|選)(?:择|擇|项|項)?[ ]?(?:为|為|是|：|:)?"
    r"|答え[ ]?[は:]|正解[ ]?[は:]?|ответ\b[ ]?[:—-]?|정?답[은:]?)",
    re.IGNORECASE,
)
_CLAUSE_END = r"(?=[ ]?(?:$|[.!;,。，；！\n]))"
#: "no, B.", "wait, actually (B)": a letter that ends its clause and corrects what was said.
_CORRECTED = re.compile(
    rf"\b(?:no|wait|actually|rather|instead),?[ ](?:option[ ])?\(?([A-Z])\)?{_CLAUSE_END}", re.IGNORECASE
)
#: "it is B.", "not A but B", "15 cm (B)": a letter that ends its clause.
_MENTIONED = re.compile(
    r"(?:\b(?:(?:it|this|that|which)(?:'s|[ ](?:is|must[ ]be|has[ ]to[ ]be|should[ ]be|would[ ]be|will[ ]be))"
    rf"[ ]{_FILLER}|(?:but|so|hence|thus|therefore|maybe|perhaps|probably|guess|think|believe|say)\b[,:]?[ ])"
    r"(?:the[ ])?(?:option[ ]|choice[ ])?|[.!?。！？;；][ ]?|(?=\([A-Z]\)))"
    rf"(?P<letter>\(?[A-Z]\)?){_CLAUSE_END}",
    re.IGNORECASE,
)
#: "option B fits best": a letter that is called what it is.
_CALLED = re.compile(
    r"\b(?:option|choice|statement)[ ](?P<letter>\(?[A-Z](?![A-Za-z0-9'’])\)?)", re.IGNORECASE
)
_VERB = r"(?:is|seems|must[ ]be|should[ ]be|would[ ]be|has[ ]to[ ]be|looks)"
_JUDGED = re.compile(
    r"(?<![A-Za-z0-9'])\(?((?-i:[A-Z]))\)?(?:[ ]?\([^()\n]{0,80}\))?"
    rf"(?:[.:]?[ ]{_VERB}[ ]{_FILLER}|[ ]?[:-][ ])"
    r"(?:the[ ])?(?:only[ ]|most[ ]|best[ ])?(?:correct|right|true|answer|choice|option|appropriate)\b"
    r"|(?:选项|選項)[ ]?([A-Za-z])[ ]?(?:是)?(?:正确|正確|对|對)"
    r"|(?<![A-Za-z0-9和或与、])((?-i:[A-Z]))[ ]?(?:选项|選項|项|項)?[ ]?(?:才|就)?(?:是|为|為)?[ ]?"
    r"(?:正确|正確|对|對|符合)",
    re.IGNORECASE,
)
#: Before a statement: that it is denied, or only supposed.
_DENIED = re.compile(
    r"(?:(?:n't|\bnot|\bnever)[ ](?:think|believe|say|true|sure|certain|mean|claim|agree)\b"
    r"|\b(?:doubt|deny|whether|if|suppose|assume|assuming|unless)\b|(?:不认为|不覺得|不觉得|如果|假设|假設|若)"
    r"|不[能应應可该該要会會]?(?=$)|别|別)"
    r"(?:[ ]?(?:that|if|whether))?(?:[ ]?(?:the|my|our))?(?:[ ](?:correct|right|best|final))?"
    r"[ ]?(?:正确|正確)?$",
    re.IGNORECASE,
)
#: Before a letter: that it is not the one.
_NOT = re.compile(
    r"(?:\bnot|n't|\bcannot|\bnever|\bneither|\bnor|\bthan|\binstead[ ]of|\bexcept|不(?:是|选|選)?|非)"
    r"(?:[ ](?:be|option|choice|is|to|the|answer|an?))*[ ]?$",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[A-Za-z][A-Za-z_-]{1,30}>")
_WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|mathrm|mathbf|mathsf|mathit|operatorname|bf|rm|it|large|Large|huge"
    r"|displaystyle|boxed|fbox|quad|qquad)\b\s*|\\[()\[\],;!: ]"
)
_QUOTED = re.compile(r"['‘’]([A-Za-z])['’]")
_BRACKETS = str.maketrans("[]<>【】〔〕「」", "()()()()()", '*_$`{}"“”')
_LEAD = re.compile(
    r"^(?:(?:option|choice|statement|letter|answer|the|(?:correct|right|best|final)"
    r"(?=[ ](?:option|choice|answer))|la|el|die|lettre|a[ ]letra|letra|opción|buchstabe)\b[\s:]*"
    r"|选项\s*|選項\s*|[\s:：=、-])+",
    re.IGNORECASE,
)
_LETTER = re.compile(r"^(\()?\s?([A-Za-z])(?![A-Za-z0-9'’+#点組组类類型班队隊]|-\w)\s?(\))?")
_BOTH = re.compile(r"^(?:either|both|between|one[ ]of|any[ ]of|among)\b", re.IGNORECASE)
#: After a letter: a second one beside it.
_NEXT = re.compile(
    r"^(?:[ ]?\([^()\n]{0,80}\))?[\s.):]*\(?"
    r"(?:(?:,|/|;|&|\+|\||、|，|和|或|与|與|及|and\b|or\b|nor\b|und\b|oder\b|y\b|o\b|et\b|ou\b|alternatively\b"
    r"|but[ ]it[ ](?:could|might|may)[ ](?:also[ ])?be\b)\s*)+"
    r"(?:(?:maybe|possibly|perhaps|probably|even|also)[ ])?(?:option\s|choice\s)?\s*"
    r"\(?([A-Z])(?![A-Za-z0-9'’])"
    r"|^[\s.):–-]*\(?([A-Z])(?=[.):]|$|[ ]\(?[A-Z](?![A-Za-z0-9'’]))",
    re.IGNORECASE,
)
#: After a letter: that it is not the one.
_DENIES = re.compile(
    r"[ :,–-]*(?:(?:is|was|seems|looks|does|can|could|would|will)?[ ]?(?:not\b|n't)"
    r"|cannot\b|(?:is|was|seems|looks)[ ](?:wrong|incorrect|false|out)\b)",
    re.IGNORECASE,
)
#: Before a letter that is judged: another one beside it.
_BESIDE = re.compile(r"(?<![A-Za-z0-9])[A-Z]\)?[ ]?(?:,|/|&|and|or|nor)[ ]?(?:option[ ])?\(?$")
#: What may follow the letter a, which is also an article: the end, a mark, or a word that begins a reason.
_AFTER_A = re.compile(
    r"^\s*(?:$|[^\w\s]|(?:because|since|as|is|which|with|due|for|but|so|and|or|based|given)\b|[\u3040-\u9fff\uac00-\ud7a3])"
)
_WORD = re.compile(r"\s*\w")
_PREDICATE = re.compile(
    r"[\s.:,–-]*(?:(?:is|are|was|were|seems?|looks?|can(?:not|'t)?|could|would|isn't|doesn't|has|and|or|wrong|incorrect|false|not|no)\b"
    r"|[不错錯是都也])",
    re.IGNORECASE,
)
_OPTION_LINE = re.compile(
    r"^[ \t]*[*(\[（]{0,3}([A-Z])[*]{0,2}[)\].:：．、）][*]{0,2}[ \t]*(\S.*)$", re.MULTILINE
)
_OPTION_MARK = re.compile(r"(?<![A-Za-z0-9])\(?([A-Z])[).．、]\s*(?=[^\s)])")


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

    Raises GraderError where `letter` is not one letter, or not one of the options.
    """
    answer = (
        response.rpartition("</think>")[2]
        if template is None
        else get_template(template).parse(response).answer
    )
    return _judge(answer, letter, options or {})


def _judge(answer: str, letter: str, options: Mapping[str, str]) -> Verdict:
    gold = _gold(letter, options)
    chosen, route = chosen_letter(answer, options, letters=LETTERS + gold)
    if chosen is None:
        reason = "several options are named" if route == _SEVERAL else "no option is chosen"
        return Verdict.of(0.0, reason, route, gold=gold)
    return Verdict.of(chosen == gold, f"chooses {chosen}, the key is {gold}", route, chosen=chosen, gold=gold)


def _gold(letter: str, options: Mapping[str, str]) -> str:
    gold = re.sub(r"[\s().:]", "", letter).upper()
    if len(gold) != 1 or gold not in (options or ascii_uppercase):
        allowed = ", ".join(options) if options else "A to Z"
        raise GraderError(
            f"the reference of a choice problem is {letter!r}; it must be one letter of {allowed}"
        )
    return gold


def chosen_letter(
    answer: str, options: Mapping[str, str] | None = None, *, letters: str = LETTERS
) -> tuple[str | None, str]:
    """The letter that an answer chooses and where it stood; (None, "several" or "nothing") where none.

    letters  what counts as a letter where the options are not known.
    """
    options = options or dict.fromkeys(letters, "")
    answer = answer[-_READ:]
    box = _last_box(answer)
    if box is not None:
        letter = (
            _text_of(box, options) or _letter_at(_seen(box), options, whole=True) or _by_text(box, options)
        )
        if letter is not None:
            return _found(letter, "box")
    quoted = _text_of(answer, options)
    if quoted is not None:
        return _found(quoted, "option text")
    seen = _seen(answer)
    stated = _last_statement(seen, options)
    if stated is not None:
        return _found(stated, "statement")
    lines = [line for line in seen.splitlines() if line.strip(" \t>-")]
    for route, line, beside, step in (("last line", -1, -2, 1), ("first line", 0, 1, -1)) if lines else ():
        letter = _letter_at(lines[line], options, whole=True)
        if letter is not None:
            other = _letter_at(lines[beside], options, whole=True) if len(lines) > 1 else None
            # A list of the options, told again, chooses none of them.
            listed = letter != _SEVERAL and other == chr(ord(letter) - step)
            return _found(_SEVERAL if listed else letter, route)
    mentioned = _last_mention(lines[-1], options) if lines else None
    if mentioned is not None:
        return _found(mentioned, "mention")
    return _found(_by_text(answer, options), "option text")


def _found(letter: str | None, route: str) -> tuple[str | None, str]:
    if letter is None:
        return None, "nothing"
    return (None, _SEVERAL) if letter == _SEVERAL else (letter, route)


def _seen(text: str) -> str:
    """The text without the marks that only dress a letter up; all brackets round."""
    text = unicodedata.normalize("NFKC", _TAG.sub(" ", _WRAPPER.sub(" ", text)))
    return re.sub(r"[ \t]+|^[ \t]*#+", " ", _QUOTED.sub(r"\1", text.translate(_BRACKETS)), flags=re.MULTILINE)


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


def _last_statement(text: str, options: Mapping[str, str]) -> str | None:
    """The letter of the last statement that has one; a later statement corrects an earlier one."""
    for match, judged in sorted(
        [(match, False) for match in _CUE.finditer(text)]
        + [(match, True) for match in (*_CORRECTED.finditer(text), *_JUDGED.finditer(text))],
        key=lambda found: found[0].start() if found[1] else found[0].end(),
        reverse=True,
    ):
        before = text[max(0, match.start() - 40) : match.start()]
        if judged:
            named = str(next(filter(None, match.groups()))).upper()
            letter = None if named not in options else _SEVERAL if _BESIDE.search(before) else named
        else:
            letter = _letter_at(text[match.end() : match.end() + _REACH], options)
        if letter is not None and not _DENIED.search(before):
            return letter
    return None


def _last_mention(line: str, options: Mapping[str, str]) -> str | None:
    """The letter that the last sentence of a line names as if it were the choice; `_SEVERAL` where two."""
    found: list[tuple[int, str]] = []
    for pattern in (_MENTIONED, _CALLED):
        for match in pattern.finditer(line):
            at = match.start("letter")
            letter = _letter_at(line[at : at + _REACH], options, called=pattern is _CALLED)
            denied = _NOT.search(line[max(0, at - 30) : at]) or _DENIES.match(
                line[match.end() : match.end() + 30]
            )
            if letter is not None and not denied:
                found.append((len(re.findall(r"[.!?。！？](?=\s)", line[: match.start()])), letter))
    last = max((sentence for sentence, _ in found), default=0)
    named = {letter for sentence, letter in found if sentence == last}
    return None if not named else named.pop() if len(named) == 1 else _SEVERAL


def _letter_at(
    fragment: str, options: Mapping[str, str], *, whole: bool = False, called: bool = False
) -> str | None:
    """The letter that a fragment begins with, `_SEVERAL` where more follow, None where there is none.

    whole   the fragment must be the letter and nothing else, or the letter, a mark and the option's text.
    called  the word before the fragment says that it is a letter, so that "A" is no article.
    """
    plain = fragment[:400].strip(" \t\n>.")
    lead = _LEAD.match(plain)
    if lead:
        plain = plain[lead.end() :].strip()
        called = called or "option" in lead[0].lower() or "choice" in lead[0].lower()
    several = _BOTH.match(plain)
    if several:
        plain = plain[several.end() :].strip()
    match = _LETTER.match(plain)
    if match is None or match[2].upper() not in options:
        return None
    letter, rest = match[2].upper(), plain[match.end() :]
    another = _NEXT.match(rest)
    if another and letter != (another[1] or another[2]) in options:
        return _SEVERAL
    if several or rest.startswith("?"):
        return None
    quoted = options[letter] and _plain(rest).startswith(_plain(options[letter]))
    sure = called or match[3] or quoted or _AFTER_A.match(rest)
    if (letter in "AI" or match[2].islower()) and not sure:
        return None
    if whole and not quoted and (_PREDICATE.match(rest) or (not match[3] and _WORD.match(rest))):
        return None
    return letter


def _text_of(answer: str, options: Mapping[str, str]) -> str | None:
    """The option whose text the whole answer is."""
    said = _plain(answer[:2000])
    exact = [letter for letter, text in options.items() if text and _plain(text) == said]
    return None if not exact else exact[0] if len(exact) == 1 else _SEVERAL


def _by_text(answer: str, options: Mapping[str, str]) -> str | None:
    """The only option whose text the last line of an answer holds."""
    texts = {letter: _plain(text) for letter, text in options.items() if _plain(text)}
    if not texts or not answer.strip():
        return None
    last = f" {_plain(answer.strip().splitlines()[-1])} "
    held = {}
    for letter, text in texts.items():
        at = last.rfind(f" {text} ")
        if at >= 0 and not _NOT.search(last[max(0, at - 30) : at + 1]):
            held[letter] = text
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
    """The options that a question lists; empty unless they run A, B.

    A line each ("A. ...", "(B) ..."), or three or more of them beside each other ("(A) 1 (B) 2 (C) 3").
    """
    listed = _in_order(_OPTION_LINE.findall(question))
    if len(listed) > 1:
        return listed
    markers = list(_OPTION_MARK.finditer(question))
    ends = [*(marker.start() for marker in markers), len(question)][1:]
    beside = _in_order(
        [
            (mark[1], question[mark.end() : end].partition("\n\n")[0])
            for mark, end in zip(markers, ends, strict=True)
        ]
    )
    return beside if len(beside) > 2 else {}


def _in_order(found: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The last run of options that begins with A and leaves no letter out."""
    options: dict[str, str] = {}
    for letter, text in found:
        if letter == ascii_uppercase[len(options) : len(options) + 1]:
            options[letter] = text.strip()
        elif letter == "A":
            options = {"A": text.strip()}
    return options


class ChoiceReward(Reward):
    """`check` on the answer of a choice problem; the options are read from the question."""

    tasks = frozenset({"choice"})
    scope = "answer"

    def check(self, sample: Sample) -> Verdict:
        options = options_in(question_of(list(sample.prompt)))
        return _judge(sample.scoped(self.scope), str(sample.reference), options)
