"""Recognises secrets: keys of well-known services, tokens, private keys, passwords. Called by redaction.py.

Pure. A key is known by the prefix its issuer gives it, a password by the words before it.
"""

import re
from collections.abc import Iterator

from feedback.spans import Span

PATTERNS = {
    "PRIVATE_KEY": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    "API_KEY": r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255}"  # GitHub
    r"|glpat-[\w-]{20,}"  # GitLab
    r"|sk-(?:[a-z]+-)*[\w-]{20,}"  # OpenAI, Anthropic
    r"|[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9]{16,}"  # Stripe
    r"|xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{10,}"  # Slack
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}"  # Google
    r"|hf_[A-Za-z0-9]{30,}"  # Hugging Face
    r"|npm_[A-Za-z0-9]{36}|pypi-[\w-]{50,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-f]{32}"  # SendGrid, Mailgun
    r"|SK[0-9a-f]{32}|dop_v1_[0-9a-f]{64}"  # Twilio, DigitalOcean
    r")(?![A-Za-z0-9_-])",
    "TOKEN": r"(?<![\w.-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"  # JSON web tokens
    r"|(?<![\w/+-])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{32,128}(?![\w/+-])"
    r"|(?<![\w/+.-])(?=[A-Za-z/+]*\d)(?=[A-Z0-9/+]*[a-z])(?=[a-z0-9/+]*[A-Z])[A-Za-z0-9/+]{40,}={0,2}"
    r"(?![\w/+-])",
}
WITH_CASE = {type: re.compile(pattern, re.S) for type, pattern in PATTERNS.items()}
AFTER_SCHEME = re.compile(
    r"\b(?:bearer|basic)\s{1,3}(?P<value>(?=[\w.~+/-]*(?:\d|=|(?-i:[a-z][A-Z])))[\w.~+/-]{16,}=*)",
    re.I,
)
"""No word has a digit or a capital inside: basic troubleshooting."""
IN_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://(?P<value>[^\s/:@]*:[^\s/@]+@[\w.-]*\w)", re.I)
IN_QUERY = re.compile(
    r"[?&#](?:[\w-]*(?:token|secret|password|signature|api_?key)|key|sig|auth|pwd)=(?P<value>[^\s&#\"'<>]+)",
    re.I,
)
_WORDS = (
    r"pass ?(?:word|phrase|code|wd)|passwort|kennwort|pwd|pin(?: code| number)?|"
    r"(?:client |shared |app )?secret|"
    r"(?:api|access|secret|private|auth|license|encryption)[ _-]?(?:access[ _-]?)?key|"
    r"(?:access|auth|api|session|refresh|bearer)?[ _-]?token|"
    r"(?:otp|one[- ]time|verification|security|login|2fa) (?:code|password)"
)
ASSIGNED = re.compile(
    rf"(?<![a-z])(?:{_WORDS})[\"']?\s?[:=]+>?\s*[\"'`]?(?P<value>(?![\s:=])[^\s\"'`,;<>\ue000]{{4,}})",
    re.I,
)
TOLD = re.compile(
    rf"\b(?:{_WORDS})\s+(?:is|was|being|=)\s+(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]{{3,}})(?P=quote)|"
    r"(?P<plain>(?=[^\s]*[\d!#$%&*+=@^_~]|(?-i:[a-z]+[A-Z]))[^\s\"'`,;<>\ue000]{4,}))",
    re.I,
)


def find(text: str) -> Iterator[Span]:
    """The secrets in a text; spans may overlap."""
    for type, pattern in WITH_CASE.items():
        yield from (Span(found.start(), found.end(), type) for found in pattern.finditer(text))
    for type, pattern in (
        ("TOKEN", AFTER_SCHEME), ("CREDENTIALS", IN_ADDRESS), ("TOKEN", IN_QUERY), ("PASSWORD", ASSIGNED),
    ):  # fmt: skip
        for found in pattern.finditer(text):
            yield Span(found.start("value"), _end(found, "value"), type)
    for found in TOLD.finditer(text):
        part = "quoted" if found["quoted"] else "plain"
        yield Span(found.start(part), _end(found, part), "PASSWORD")


def _end(found: re.Match[str], part: str) -> int:
    """Where a value ends, without the full stop of its sentence."""
    return found.end(part) - (found[part][-1] in ".)" and len(found[part]) > 4)
