from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1rewards import language
from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample
from r1rewards.core.template import get_template
from r1rewards.language import LanguageReward, check, language_of, share
from r1rewards.language.detect import DETECTORS, LATIN_LANGUAGES, detector_named, foreign_function_words

ENGLISH = (
    "First we add the two numbers that are given. Then we divide the sum by four and look at what is left."
)
GERMAN = "Zuerst addieren wir die beiden Zahlen, die gegeben sind. Danach teilen wir die Summe durch vier."
CHINESE = "首先我们把题目给出的两个数相加，然后把得到的和除以四，最后检查结果是否合理。"
RUSSIAN = "Сначала мы складываем два данных числа. Потом делим сумму на четыре и смотрим, что осталось."
JAPANESE = "まず、与えられた二つの数を足します。それから合計を四で割って、結果を確かめます。"
TEXTS = {"en": ENGLISH, "de": GERMAN, "zh": CHINESE, "ru": RUSSIAN, "ja": JAPANESE}
INSTALLED = ["langdetect", "profiles"]


@pytest.mark.parametrize("detector", INSTALLED)
@pytest.mark.parametrize("code", TEXTS)
def test_clean_text_is_all_its_language_and_none_of_another(code, detector):
    for target in TEXTS:
        value = check(TEXTS[code], target, detector=detector).value
        assert value == pytest.approx(float(code == target), abs=0.03)


@pytest.mark.parametrize("detector", INSTALLED)
def test_a_mixture_is_counted_by_words(detector):
    n_en, n_de = (len(text.split()) for text in (ENGLISH, GERMAN))
    verdict = check(f"{ENGLISH} {GERMAN}", "en", detector=detector)
    assert verdict.value == pytest.approx(n_en / (n_en + n_de))
    assert verdict.details["other"] == {"de": n_de}
    assert verdict.details["spans"][0].startswith("Zuerst addieren wir")
    assert check(f"{GERMAN} {RUSSIAN}", "ru").value == pytest.approx(
        len(RUSSIAN.split()) / (len(RUSSIAN.split()) + n_de)
    )


def test_words_of_another_language_inside_a_sentence():
    assert check(CHINESE + "所以 the answer 是四", "zh").details["other"] == {"latin": 2.0}
    assert check(ENGLISH.replace("and", "und"), "en").details["other"] == {"de": 1.0}
    assert check(ENGLISH.replace("numbers", "числа"), "en").details["other"] == {"cyrillic": 1.0}


GERMAN_WORDS = [
    "zusammen",
    "schließlich",
    "Rechnung",
    "übrig",
    "gleichzeitig",
    "Äpfel",
    "deshalb",
    "Anzahl",
    "zwölf",
    "Häuser",
]


def mixed(every: int) -> tuple[str, int]:
    """English with a German word after every so many of its own, and how many those are."""
    words: list[str] = []
    added = 0
    for at, word in enumerate(f"{ENGLISH} {LONGER}".split(), start=1):
        words.append(word)
        if at % every == 0:
            words.append(GERMAN_WORDS[added % len(GERMAN_WORDS)])
            added += 1
    return " ".join(words), added


LONGER = (
    "We know that each child takes two apples, so nine children can take some before the box is empty. After "
    "that we look at the price of one apple and multiply it by the number of apples that were sold on Monday."
)


@pytest.mark.parametrize("detector", INSTALLED)
@pytest.mark.parametrize("every", [2, 3, 5])
def test_words_of_another_language_are_counted_one_by_one(every, detector):
    text, added = mixed(every)
    found = share(text, "en", detector=detector)
    assert found.value == pytest.approx(1 - added / len(text.split()), abs=0.08)
    assert found.other["de"] > added / 2
    # The same text against the other language: what was added is all that counts.
    assert share(text, "de", detector=detector).value == pytest.approx(added / len(text.split()), abs=0.15)


@pytest.mark.parametrize(
    "text",
    [
        "Combining like terms, we get 3x = 12.",
        "Let hundreds digit be A (3 or 4). All numbers except 8 are unique.",
        "He flies from Los Angeles to El Paso, then on to Lake Como. Triangle DE has sides of length two.",
        "Jim has 30 toads. Sarah has 50 * 2 = 100 toads.",
        "Mark Hamill as Luke Skywalker, Carrie Fisher as Leia, and Adam Driver as Kylo Ren.",
    ],
)
def test_names_and_terms_are_no_other_language(text):
    assert check(text, "en").value == 1.0


def test_short_sentences_go_with_their_neighbours():
    assert check(f"{ENGLISH} Gut so! {ENGLISH}", "en").value == 1.0
    assert check(f"Gut so! {GERMAN} Yes.", "de").value == 1.0
    assert check("Yes. It is. We add. Two more.", "en").value == 1.0


@pytest.mark.parametrize("text", ["", "12 + 7 = 19", "$x = 3$", "x + y = z", "\\boxed{4}", "so 4"])
def test_too_few_words_abstain(text):
    verdict = check(text, "en")
    assert (verdict.status, verdict.route) == ("abstain", "too_few_words")
    assert "too few" in verdict.reason
    assert check("so it is", "en", min_words=3).value == 1.0


HIDING = [
    f"$\\text{{{GERMAN}}}$",
    f"\\[ x = \\text{{{GERMAN}}} \\]",
    f"```\n# {GERMAN}\n```",
    f"```py\nprint('{GERMAN}')\n```",
    f"```\n{GERMAN}",
    f"```\n{GERMAN} {GERMAN}\n```",
    f"`{GERMAN}` `{GERMAN}`",
    f"{ENGLISH} {ENGLISH} `{GERMAN}`",
    f"{ENGLISH} {ENGLISH} ${GERMAN}$",
    f"{ENGLISH} {ENGLISH}\n````text\n{GERMAN}\n````",
    f"{ENGLISH} $\\mathrm{{{GERMAN}}}$",
    "\\(\\text{Zuerst addieren wir {die beiden} Zahlen, die uns heute gegeben sind}\\)" + ENGLISH,
    GERMAN.upper(),
    GERMAN.replace("e", "е"),
    GERMAN.replace("e", "e\u200b"),
    "".join(chr(ord(c) + 0xFEE0) if "a" <= c <= "z" else c for c in GERMAN),
]


@pytest.mark.parametrize("detector", INSTALLED)
@pytest.mark.parametrize("hidden", HIDING)
def test_no_hiding_place(hidden, detector):
    found = share(f"We think now. {hidden}", "en", detector=detector)
    assert sum(found.other.values()) >= 10, found


@pytest.mark.parametrize("shell", ["${}$", "\\[{}\\]", "`{}`", "```\n{}\n```"])
def test_foreign_letters_count_wherever_they_stand(shell):
    assert check(ENGLISH + shell.format(CHINESE), "en").details["other"] == {"han": pytest.approx(20, abs=3)}


def test_math_code_and_links_do_not_count():
    noise = (
        " $a^2 + \\sin(b) = c$ \\[\\frac{total}{count}\\] `x = total` https://example.org/en/page <think> "
    )
    assert check(CHINESE + noise + CHINESE, "zh").value == 1.0


def test_what_is_neutral():
    assert check(CHINESE + "设 x 为 sin 的值，单位是 cm。", "zh").value == 1.0
    assert check(CHINESE + "Natalia 卖了两个。", "zh").value < 1.0
    assert check(CHINESE + "Natalia 卖了两个。", "zh", prompt="Natalia 有几个苹果呢？").value == 1.0
    assert check(ENGLISH + " The word 你好 is a greeting.", "en", prompt="What does 你好 mean?").value == 1.0


def test_a_prompt_in_another_language_lends_no_words():
    assert check(ENGLISH, "zh", prompt=ENGLISH).value == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_word_salad_does_not_pay(seed):
    rng = random.Random(seed)
    english = " ".join(
        rng.choices(["sum", "number", "apple", "total", "give", "take", "left", "many", "two", "day"], k=150)
    )
    chinese = "".join(rng.choices("我们把数字相加然后得到结果", k=150))
    assert check(english, "en").value < 0.6
    assert check(chinese, "zh").value < 0.6


def test_repetition_does_not_pay():
    assert check("the " * 60, "en").value < 0.2
    assert check("好的" * 60, "zh").value < 0.2
    assert check(f"{ENGLISH} " * 30, "en").value < 0.2
    assert check(ENGLISH, "en").details["repeated"] == 0.0


@given(st.text(max_size=120), st.sampled_from(["en", "zh", "ja", "ru", "de"]))
@settings(max_examples=60, deadline=None)
def test_any_text_has_a_share(text, target):
    found = share(text, target)
    assert 0.0 <= found.value <= 1.0
    assert found == share(text, target)
    json.dumps(check(text, target).to_dict())


def test_targets_are_codes_with_or_without_a_region():
    assert check(CHINESE, "zh-CN").value == check(CHINESE, "zh_Hant").value == 1.0
    assert {"en", "zh", "ja", "ru", "sw", "th"} <= set(language.known_languages())
    for unknown in ("xx", "english", "", "e1"):
        with pytest.raises(UserError):
            check(ENGLISH, unknown)


def test_the_language_of_a_text():
    assert {code: language_of(text) for code, text in TEXTS.items()} == {code: code for code in TEXTS}
    assert language_of("12 + 7 = x") is None
    assert language_of("Was ist die Summe von 12 und 7? Antworte kurz.") == "de"


def test_detectors_agree_and_are_named():
    with pytest.raises(UserError, match="langdetect, profiles"):
        detector_named("guess")
    french = "Premièrement nous additionnons les deux nombres donnés dans la question"
    sentences = [text.lower().split() for text in (ENGLISH, GERMAN, french)]
    for name in INSTALLED:
        assert detector_named(name).languages(sentences, "") == ["en", "de", "fr"]
        assert detector_named(name).languages([], "en") == []
    assert set(DETECTORS) >= set(INSTALLED)


def test_lists_of_function_words_hold_no_word_of_the_target():
    for code in ("en", "de", "fr", "es", "it", "pt", "nl", "sw"):
        assert code in LATIN_LANGUAGES
        strays = foreign_function_words(code)
        assert len(strays) > 100
        assert code not in strays.values()
    assert foreign_function_words("fi") == {}


def test_the_same_in_another_process():
    program = (
        "from r1rewards.language import share; import sys\n"
        "print(repr([share(sys.argv[1], 'en', detector=d) for d in ('langdetect', 'profiles')]))"
    )
    text = f"{ENGLISH} {GERMAN} {RUSSIAN}"
    seeds = [
        subprocess.run(
            [sys.executable, "-c", program, text],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert seeds[0] == seeds[1] == repr([share(text, "en", detector=d) for d in INSTALLED]) + "\n"


def sample(text: str, **fields: object) -> Sample:
    return Sample("1", "math", text, get_template("think-answer").parse(text), **fields)


def test_the_reward_reads_the_thinking_in_the_language_of_the_row_or_its_prompt():
    reward = LanguageReward()
    text = f"<think>{GERMAN}</think><answer>{ENGLISH}</answer>"
    english, german = ([{"role": "user", "content": TEXTS[code]}] for code in ("en", "de"))
    assert reward.check(sample(text, language="de")).value == 1.0
    assert reward.check(sample(text, language="en", prompt=german)).value == 0.0
    assert reward.check(sample(text, prompt=german)).value == 1.0
    assert reward.check(sample(text, prompt=english)).value == 0.0
    assert reward.check(sample(text)).route == "no_target"
    assert reward.check(sample("<think>12 + 7 = 19</think><answer>19</answer>", language="en")).value is None
    with pytest.raises(UserError):
        LanguageReward(detector="guess")


DATA = Path(os.environ.get("R1KIT_DATA", Path(__file__).parents[3] / "../shared/data"))


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="the folder that R1KIT_DATA names is absent")
@pytest.mark.parametrize("code", ["bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh"])
def test_real_problems_are_in_their_language(code):
    with gzip.open(DATA / "mgsm_11lang_half.jsonl.gz", "rt") as lines:
        texts = [json.loads(line)[code] for line in lines]
    values = [check(text, code).value for text in texts]
    assert sum(values) / len(values) > 0.97
    assert sum(language_of(text) == code for text in texts) / len(texts) > 0.9
