"""Families of functions of a text or a list of words."""

from __future__ import annotations

from r1data.sources.code_families.family import Family

FAMILIES: dict[str, Family] = {
    "repeat": Family(
        "text",
        ("s",),
        ("repeat", "repeat_text", "echo"),
        ("returns the text repeated {s} times", "返回重复 {s} 次的文字"),
        ("Text times a number repeats it: `text * {s}`.", "字符串乘以数字就会重复：`text * {s}`。"),
        "return text * {s}",
        lambda p, text: "".join(text for _ in range(p["s"])),
    ),
    "prefix": Family(
        "text",
        ("word", "mark"),
        ("with_prefix", "greet", "prepend"),
        ("returns '{word}{mark}' followed by the text", "返回 '{word}{mark}' 后面接上 text"),
        ("I put the two together: `'{word}{mark}' + text`.", "把两部分相接：`'{word}{mark}' + text`。"),
        "return '{word}{mark}' + text",
        lambda p, text: f"{p['word']}{p['mark']}{text}",
    ),
    "suffix": Family(
        "text",
        ("word", "mark"),
        ("with_suffix", "finish", "append_text"),
        ("returns the text followed by '{mark}{word}'", "返回 text 后面接上 '{mark}{word}'"),
        ("I add at the end: `text + '{mark}{word}'`.", "在末尾相接：`text + '{mark}{word}'`。"),
        "return text + '{mark}{word}'",
        lambda p, text: f"{text}{p['mark']}{p['word']}",
    ),
    "count-letter": Family(
        "text",
        ("letter", "s"),
        ("count_letter", "letter_score", "count_{letter}"),
        (
            "returns how often '{letter}' is in the text, times {s}",
            "返回字母 '{letter}' 在 text 中出现的次数乘以 {s}",
        ),
        (
            "`text.count('{letter}')` counts it, and I multiply by {s}.",
            "用 `text.count('{letter}')` 计数，再乘以 {s}。",
        ),
        "return text.count('{letter}') * {s}",
        lambda p, text: sum(p["s"] for c in text if c == p["letter"]),
    ),
    "replace-letter": Family(
        "text",
        ("letter", "other"),
        ("replace_letter", "swap_letter", "change"),
        (
            "returns the text with every '{letter}' replaced by '{other}'",
            "把 text 中的 '{letter}' 都换成 '{other}' 并返回",
        ),
        ("The method `replace` puts one letter in the place of another.", "用 `replace` 方法把字母换掉。"),
        "return text.replace('{letter}', '{other}')",
        lambda p, text: "".join(p["other"] if c == p["letter"] else c for c in text),
    ),
    "longer": Family(
        "text",
        ("s",),
        ("is_longer", "long_text", "longer_than"),
        (
            "returns True if the text has more than {s} letters, else False",
            "判断 text 是否多于 {s} 个字母，返回 True 或 False",
        ),
        ("The length is `len(text)`, so `len(text) > {s}`.", "长度是 `len(text)`，比较 `len(text) > {s}`。"),
        "return len(text) > {s}",
        lambda p, text: len(list(text)) - p["s"] > 0,
    ),
    "long-words": Family(
        "words",
        ("s",),
        ("long_words", "keep_long", "filter_words"),
        ("returns the words that have more than {s} letters", "返回列表中多于 {s} 个字母的单词"),
        ("I keep w only if `len(w) > {s}`.", "只保留 `len(w) > {s}` 的单词。"),
        "return [w for w in words if len(w) > {s}]",
        lambda p, words: list(filter(lambda w: len(w) > p["s"], words)),
    ),
    "join": Family(
        "words",
        ("mark", "letter"),
        ("join_words", "connect", "glue"),
        (
            "returns the words joined with '{mark}' and '{letter}' at the end",
            "用 '{mark}' 连接单词，末尾加 '{letter}'，并返回",
        ),
        (
            "`'{mark}'.join(words)` joins them, then I add '{letter}'.",
            "用 `'{mark}'.join(words)` 连接，再加 '{letter}'。",
        ),
        "return '{mark}'.join(words) + '{letter}'",
        lambda p, words: "".join(w if i == 0 else p["mark"] + w for i, w in enumerate(words)) + p["letter"],
    ),
}
