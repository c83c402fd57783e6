"""Does an answer turn the customer down: "I'm sorry, but I can't help with that"?

Pure: phrases of English, German, Spanish, French and Arabic, looked for in each sentence. What cannot be
done for a customer ("we cannot ship to Iceland") is an answer, no refusal. How often it is right:
docs/operators.md. Called by scores.py.
"""

import re

from feedback.desk import Desk, why_hand_over

_CANNOT = (
    r"(?:can(?:no| no|')t|can not|won't|will not|couldn't|am unable to|am not able to|'m unable to|"
    r"'m not able to|are unable to|are not able to|'re unable to|must decline to|have to decline to|"
    r"must refuse to|refuse to|do not feel comfortable|don't feel comfortable|am not comfortable|"
    r"'m not comfortable|am not allowed to|'m not allowed to|am not permitted to|am not going to|"
    r"'m not going to|am not programmed to|'m not programmed to|am not designed to|'m not designed to)"
)
_ADVERB = (
    r"(?: (?:to|just|really|personally|simply|ethically|legally|in good conscience|directly|ever))*"
)
_HELPING = (
    r"(?:help(?:ing)?(?! but)|assist(?:ing)?|do (?:that|this|it|so)|answer(?:ing)?|respond|comply|engage|"
    r"participate|discuss|fulfil+|support (?:that|this|any|such)|provid(?:e|ing)|shar(?:e|ing)|"
    r"generat(?:e|ing)|creat(?:e|ing)|writ(?:e|ing)|produc(?:e|ing)|reveal|disclos(?:e|ing)|tell|giv(?:e|ing)|offer(?:ing)?|"
    r"explain(?:ing)?|describ(?:e|ing)|instruct|teach|advise|encourage|promote|condone|say (?:that|this)|"
    r"ignore (?:my|those|these)|pretend|role-?play|repeat|follow (?:that|this|those|these)|look (?:up|into)|"
    r"go there|talk about|speak (?:to|about|on)|recommend|suggest|access|accept that)"
)
PATTERNS = [
    re.compile(pattern)
    for pattern in (
        rf"\bi ?{_CANNOT}{_ADVERB} {_HELPING}\b",
        rf"\bwe ?{_CANNOT}{_ADVERB} (?:help|assist|answer|do (?:that|this)|comply|share (?:that|other)|"
        r"discuss|tell you (?:that|about|other)|reveal|disclose)\b",
        r"\b(?:sorry|apologi[sz]e|afraid|unfortunately)[^.!?]{0,20}\b(?:but )?(?:i|we) "
        r"(?:can(?:no| no|')t|won't)\b"
        r"(?! (?:find|see|ship|deliver|offer|accept|refund|open|locate|wait))",
        r"\b(?:no|nope|sorry)[,.!]? (?:but )?i (?:can(?:no| no|')t|won't)(?: do that)?\s*[.!]?$",
        r"\bi (?:must|have to|need to|will have to|'ll have to) (?:respectfully |politely )?"
        r"(?:decline|refuse|say no)\b",
        r"\bi (?:respectfully |politely )?(?:decline|refuse)\b",
        r"\bas an? (?:ai|artificial|large language|language model|virtual assistant|responsible)\b"
        r"[^.!?]{0,60}\b(?:not|n't|cannot|unable)\b",
        r"\b(?:is|are|'s|would be|goes) (?:not something (?:that )?(?:i|we)(?:'m| am| are)? "
        r"(?:can|could|will|able)|"
        r"against (?:my|our|the) (?:guidelines|policy|policies|programming|rules|principles)|"
        r"outside (?:of )?(?:my|what i|the scope)|beyond (?:my|what i|the scope)|"
        r"something (?:that )?i (?:can(?:no|')t|won't|will not|'m not able))",
        r"\bi(?:'m| am) (?:only (?:here|able) to|just here to|"
        r"here (?:only )?to help (?:you )?with [^.!?]{3,60} only)",
        r"\bi can only (?:help|assist|answer|talk|provide|share|discuss)\b",
        r"\b(?:it is|it's|that is|that's|this is) (?:illegal|unethical|not appropriate|inappropriate|"
        r"not okay|not ok|against the law|confidential|private)\b",
        r"\b(?:won't|not going to|never) (?:be able to )?(?:help|do that|share|give out|hand out|reveal)\b",
        r"\bi(?:'d| would) rather not\b|\bi keep (?:that|those|my instructions|other customers')\b",
        r"\b(?:kann|darf|werde|möchte) (?:ich|wir)\b[^.!?]{0,60}\b(?:nicht|keine[nr]?)\b[^.!?]{0,60}"
        r"\b(?:helfen|beantworten|tun|geben|nennen|weitergeben|unterstützen|verraten|mitteilen|schreiben)\b",
        r"\bich (?:kann|darf|werde)\b[^.!?]{0,50}\b(?:nicht|keine[nr]?)\b[^.!?]{0,60}"
        r"\b(?:helfen|beantworten|tun|geben|nennen|weitergeben|unterstützen|verraten|mitteilen|schreiben)\b",
        r"\bno (?:puedo|podemos|voy a|me es posible)\b[^.!?]{0,20}\b(?:ayudar|responder|hacer eso|hacerlo|"
        r"dar|compartir|revelar|facilitar|decir|proporcionar|escribir)\w*",
        r"\bje ne (?:peux|puis|suis) (?:malheureusement )?pas\b[^.!?]{0,30}\b(?:aider|répondre|faire|donner|"
        r"partager|révéler|fournir|communiquer|écrire)",
        r"لا (?:أستطيع|يمكنني|نستطيع|يمكننا)",
    )
]
CONDITION = re.compile(r"\b(?:if|when|what|whatever|where|unless|why|whether|wenn|falls|si)\b")
CLAUSE_END = re.compile(r"[,;:]")
SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")


def refusal_in(answer: str, desk: Desk | None = None) -> str | None:
    """The words that turn the customer down; None where nothing does. `desk`: its own phrases count, too."""
    for sentence in SENTENCE.findall(_plain(answer)):
        for pattern in PATTERNS:
            found = pattern.search(sentence)
            if found and not _is_conditional(sentence[: found.start()]):
                return found[0].strip()
    handed = why_hand_over(desk, "", answer) if desk is not None else None
    return handed[1] if handed else None


def _is_conditional(before: str) -> bool:
    """Whether what follows hangs on a condition: "if you ask why I can't help"."""
    return CONDITION.search(CLAUSE_END.split(before)[-1]) is not None


def _plain(text: str) -> str:
    text = text.casefold().replace("\u2019", "'")
    return re.sub(r"[ \t]+", " ", re.sub(r"\bi ('m|'d|'ll)\b", r"i\1", text))
