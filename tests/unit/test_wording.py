"""The pages have one word for one thing, and none of those that say nothing: tests/unit/wording.toml lists them."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/*.md"))]
RULES = tomllib.loads((ROOT / "tests" / "unit" / "wording.toml").read_text())["rule"]


def prose(text):
    """A page without what is code: blocks, texts in backticks, and where links lead to; lines stay lines.

    >>> prose("a `b`\\n[c](d.md)")
    'a \\n[c]'
    """
    text = re.sub(r"^```.*?^```", lambda block: "\n" * block[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`|(?<=\])\([^)\s]*\)|\w+://\S+", "", text)


def found(rule, line):
    """The words of a rule in a line, without what is right there."""
    for right in rule.get("but", ()):
        line = line.replace(right, "")
    return re.findall(rf"(?<![\w-])(?:{'|'.join(rule['words'])})(?![\w-])", line, re.IGNORECASE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_none_of_the_words_for_which_there_is_a_better_one(page):
    faults = [
        f"{page.name}:{number}: {word!r}: {rule['use']} ({rule['because']})"
        for number, line in enumerate(prose(page.read_text()).splitlines(), 1)
        for rule in RULES
        for word in found(rule, line)
    ]
    assert not faults, "\n".join(faults)


def test_each_rule_says_what_to_use_and_why():
    assert all({"words", "use", "because"} <= rule.keys() <= {"words", "use", "because", "but"} for rule in RULES)
    words = [word for rule in RULES for word in rule["words"]]
    assert len(words) == len(set(words))


def test_what_is_code_is_not_read():
    assert prose("a `b`\n[c](d.md)\n```\njust\n```\nhttps://just.example/x e") == "a \n[c]\n\n\n\n e"


def test_a_word_is_found_whole_and_whatever_its_case():
    rule = {"words": ["just", "e\\.g\\."], "but": ["just so"]}
    assert found(rule, "Just this, e.g. that; adjust and just-in-time, just so") == ["Just", "e.g."]
