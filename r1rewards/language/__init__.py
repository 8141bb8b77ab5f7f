"""Is the thinking in the language that was asked for?

R1 rewards the share of target-language words in the chain of thought (arXiv 2501.12948, section 2.3), for
reasoning and general data alike. How a word is told is not published; the rules here are ours.
"""

from __future__ import annotations

from r1rewards.core.reward import Reward, Sample
from r1rewards.core.rows import question_of
from r1rewards.core.verdict import Verdict
from r1rewards.language.detect import Detector, detector_named
from r1rewards.language.share import Share, known_languages, language_of, share

__all__ = ["LanguageReward", "Share", "check", "known_languages", "language_of", "share"]

#: Fewer words than this tell nothing about a language.
MIN_WORDS = 5


def check(
    text: str,
    target: str,
    *,
    prompt: str | None = None,
    detector: str | Detector = "profiles",
    min_words: int = MIN_WORDS,
) -> Verdict:
    """The share, 0 to 1, of the words of `text` that are in the language `target`; repetition lowers it.

    target     a language code such as "en", "zh" or "pt-BR".
    prompt     what was asked: names in it may be copied whatever their language.
    detector   what tells the languages of the Latin alphabet apart: a name of `detect.DETECTORS`.
    min_words  abstain where there are fewer words, as in a bare calculation.
    """
    found = share(text, target, prompt=prompt, detector=detector)
    counts = {
        "target": round(found.target, 2),
        "other": found.other,
        "neutral": found.neutral,
        "repeated": round(found.repeated, 4),
    }
    if found.words < min_words:
        return Verdict.abstain(
            f"{found.words:.3g} words are too few to tell a language", "too_few_words", **counts
        )
    reason = f"{found.target:.4g} of {found.words:.4g} words are {target}"
    if found.repeated >= 0.005:
        reason += f"; {found.repeated:.0%} is repetition"
    return Verdict.of(found.value, reason, "share", **counts, spans=list(found.spans))


class LanguageReward(Reward):
    """`check` on the thinking of a response; the target is the row's language, else that of the question."""

    scope = "reasoning"

    def __init__(self, detector: str = "profiles", min_words: int = MIN_WORDS) -> None:
        self._detector = detector_named(detector)
        self._min_words = min_words

    def check(self, sample: Sample) -> Verdict:
        question = question_of(list(sample.prompt))
        target = sample.language or language_of(question, self._detector)
        if target is None:
            return Verdict.abstain(
                "neither the row nor its prompt says which language is wanted", "no_target"
            )
        text = sample.scoped(self.scope)
        return check(text, target, prompt=question, detector=self._detector, min_words=self._min_words)
