"""Regular expressions as Go takes them (RE2's syntax): what Go's parser says of one that it does not take.

Python's own parser finds the fault; what RE2 lacks (looking around, referring back) is looked for besides.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LOOK = re.compile(r"\(\?(?:[=!]|<[=!]|#|\()")
_BACK = re.compile(r"(?<!\\)(?:\\\\)*(\\[1-9])")
#: Python's sentence -> Go's.
_SENTENCES = {
    "missing ), unterminated subpattern": "missing closing )",
    "unbalanced parenthesis": "unexpected )",
    "unterminated character set": "missing closing ]",
    "nothing to repeat": "missing argument to repetition operator",
    "multiple repeat": "invalid nested repetition operator",
    "bad escape (end of pattern)": "trailing backslash at end of expression",
    "min repeat greater than max repeat": "invalid repeat count",
}


@lru_cache(maxsize=1024)
def go_problem(pattern: str) -> str:
    """`error parsing regexp: ...`, empty for a good pattern."""
    found = _LOOK.search(pattern)
    if found is not None:
        return _text("invalid or unsupported Perl syntax", found[0].rstrip("=!#(") if "<" in found[0] else found[0])
    back = _BACK.search(pattern)
    if back is not None:
        return _text("invalid escape sequence", back[1])
    try:
        re.compile(_python_syntax(pattern))
    except re.error as error:
        return _translated(error, pattern)
    return ""


def _python_syntax(pattern: str) -> str:
    """Classes and escapes that Python does not know, replaced by some that mean about the same."""
    text = re.sub(r"\\z", r"\\Z", pattern)
    text = re.sub(r"\[\[:\^?[a-z]+:\]", "[a", text)
    return re.sub(r"\\[pP](\{\^?\w+\}|\w)", "a", text)


def _translated(error: re.error, pattern: str) -> str:
    message, at = error.msg, error.pos or 0
    if message.startswith("bad character range "):
        return _text("invalid character class range", message.removeprefix("bad character range "))
    if message.startswith("bad escape \\"):
        return _text("invalid escape sequence", message.removeprefix("bad escape "))
    sentence = _SENTENCES.get(message)
    if sentence is None:
        return _text("invalid or unsupported Perl syntax", pattern[at:])
    if sentence in ("missing closing )", "unexpected )"):
        return _text(sentence, pattern)
    if sentence.startswith("trailing"):
        return _text(sentence, "")
    if sentence.startswith("missing argument"):
        return _text(sentence, pattern[at : at + 1])
    if sentence.startswith("invalid nested"):
        return _text(sentence, pattern[max(at - 1, 0) : at + 1])
    return _text(sentence, pattern[at:])


def _text(sentence: str, part: str) -> str:
    return f"error parsing regexp: {sentence}: `{part}`"
