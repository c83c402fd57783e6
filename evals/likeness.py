"""How like the agent's answer is an answer: by characters, by words in order, by meaning, by length.

Pure numbers, 0 to 100 but for the length. Called by scores.py.
"""

import re
from functools import cache
from typing import Any

from sacrebleu.metrics.chrf import CHRF as SacreChrf

from feedback import meaning
from feedback.near_copies import plain

_CHRF = SacreChrf()
_WORDS = re.compile(r"[^\W_]+")


class _Words:
    """As the package's own tokenizer, but with the letters of all scripts: that one knows only a to z."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stem = PorterStemmer().stem

    def tokenize(self, text: str) -> list[str]:
        """Words, those of more than three letters as their stems."""
        words = _WORDS.findall(text.lower())
        return [self._stem(word) if len(word) > 3 else word for word in words]


@cache
def _rouge() -> Any:
    # Here, as it brings nltk and scipy.stats, which every start would wait for.
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Words())


def chrf(answer: str, reference: str) -> float:
    """0 to 100: sacreBLEU's sentence chrF with its defaults.

    chrF is the F-score of shared character n-grams (1 to 6, recall weighing twice), averaged over n:
    Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015. Characters
    rather than words, so that inflection and typing errors cost a little instead of everything.
    """
    return float(_CHRF.sentence_score(answer, [reference]).score)


def rouge_l(answer: str, reference: str) -> float:
    """0 to 100: F-measure of the longest common subsequence of stemmed words, by the package rouge-score.

    Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", ACL workshop 2004.
    """
    return 100 * float(_rouge().score(reference, answer)["rougeL"].fmeasure)


def similarity(answer: str, reference: str) -> float | None:
    """0 to 100: cosine of the two texts' vectors (feedback/meaning.py); all numbers count as one word.

    None: one of them holds no word. Raises Invalid where the word vectors are not installed.
    """
    ours, theirs = meaning.vectors([plain(answer), plain(reference)])
    if not ours.any() or not theirs.any():
        return None
    return min(max(float(ours @ theirs) / meaning.LENGTH**2, 0.0), 1.0) * 100


def length_ratio(answer: str, reference: str) -> float:
    """Characters of the answer for each of the reference."""
    return len(answer.strip()) / len(reference.strip())
