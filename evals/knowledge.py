"""What an assistant may state: the facts of all that its house says, made once for an exam.

A fact told once is known. An address, a phone number or an account is the house's own only where the house
wrote it for everybody or told it to several customers (feedback/house_words.py holds to the same): what one
was told is theirs, and telling it to another is a leak. Called by run.py and results.py.
"""

from collections.abc import Iterable

from sqlmodel import Session

from evals.facts import facts_in, told_by
from evals.invented import LEAKS
from feedback import knowledge
from feedback.knowledge import Said
from feedback.learning import learning_of
from feedback.tables import Assistant, EvalRun, Prompt


def of(session: Session, assistant: Assistant) -> frozenset[str]:
    """The keys of every fact the house states. About a tenth of a millisecond a text."""
    return told(knowledge.texts(session, assistant), learning_of(assistant).house_words_from)


def at_exam(session: Session, assistant: Assistant, runs: Iterable[EvalRun]) -> frozenset[str]:
    """The same for these runs: each may also state what the prompt says that it began with."""
    prompts = {session.get_one(Prompt, run.prompt_id).text for run in runs}
    return of(session, assistant) | told_by(prompts)


def told(said: Iterable[Said], several: int) -> frozenset[str]:
    """The keys of the facts in these texts; `several`: so many customers make personal data the house's."""
    keys: set[str] = set()
    listeners: dict[tuple[str, ...], set[str]] = {}
    read: set[int] = set()
    for each in said:
        known = hash((each.to, each.text))
        if known in read:  # canned answers come a thousand times
            continue
        read.add(known)
        for fact in facts_in(each.text):
            if fact.kind not in LEAKS or each.to is None:
                keys.update(fact.told)
            elif not keys.issuperset(fact.told):
                whom = listeners.setdefault(fact.told, set())
                whom.add(each.to)
                if len(whom) >= several:
                    keys.update(fact.told)
                    del listeners[fact.told]
    return frozenset(keys)
