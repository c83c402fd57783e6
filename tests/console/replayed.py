"""A replay that has ended, with things said as a shop says them; for the pages and the pictures of them."""

from datetime import timedelta

from sqlmodel import Session

from feedback import adapters, replays, votes
from feedback.database import writing
from feedback.exam_tables import Choice, Replay, ReplayState, ReplayTurn
from feedback.tables import Conversation, now
from feedback.votes import Ballot
from tests.console.trained import shop_of
from tests.feedback.said import answered
from tests.service.conftest import Shop

SAID = (
    ("Returns", "How long may I keep boots before I send them back?",
     "You can return any item within 14 days of delivery. Please keep the receipt.",
     "You can return any item within 40 days of delivery, worn or not. You do not need the receipt.", 61.0),
    ("Shipping", "Do you deliver to the Faroe Islands, and what does it cost?",
     "I am sorry, I do not know. Please see our website for the countries we deliver to.",
     "Yes, in 6 to 9 days, for 12 euros; nothing from 150 euros up.", 18.4),
    ("Warranty", "The zip of my Nordkap tent broke on its first night. Is that covered?",
     "Our warranty covers manufacturing faults for 2 years from the day you bought it.",
     "Yes. Zips are covered for 10 years. Send a photo, and we send you a new one.", 27.9),
    ("Returns", "I lost the receipt. Can I still exchange the jacket?",
     "You need the receipt for an exchange.",
     "Yes. Tell us the e-mail address you ordered with; that is enough.", 14.2),
    ("Fees", "Is there a fee when I pay in two parts?",
     "There is no fee for two instalments.", "There is no fee for two instalments.", 100.0),
    ("", "Who are you?",
     "I am the assistant of Puddle & Pine. Ask me about orders, returns and gear.",
     "I am the assistant of Puddle & Pine. Ask me about orders, returns, repairs and gear.", 91.3),
)  # fmt: skip
"""Topic, question, what live says, what the candidate says, how alike they are."""


def replayed(shop: Shop, seed: str = "replayed") -> Replay:
    """A finished replay of these, the pairs' sides taking turns to be first."""
    adapter = shop.publish(seed)
    with writing(shop.database) as session:
        owner = shop_of(session)
        replay = Replay(
            assistant_id=owner.id, adapter_id=adapter.id, since=now() - timedelta(days=7), most=50,
            requested_by="olga@example.com", state=ReplayState.FINISHED, done=len(SAID),
            total=len(SAID), finished_at=now(),
        )  # fmt: skip
        session.add(replay)
        session.flush()
        for number, said in enumerate(SAID):
            _turn(session, replay, number, *said)
    return replay


def _turn(
    session: Session,
    replay: Replay,
    number: int,
    topic: str,
    question: str,
    live: str,
    candidate: str,
    likeness: float,
) -> None:
    owner = shop_of(session)
    asked, _ = answered(
        session, owner, "Good morning!", "Good morning. How can I help?", f"c-{number}"
    )
    talk = session.get_one(Conversation, asked.conversation_id)
    _, answer = answered(session, owner, question, live, None, talk)
    talk.topic = topic or None
    session.add(talk)
    session.add(
        ReplayTurn(
            replay_id=replay.id, message_id=answer.id, candidate_text=candidate, live_text=live,
            likeness=likeness, candidate_first=bool(number % 2),
        )
    )  # fmt: skip


def voted(shop: Shop, replay: Replay, author: str, *choices: Choice | None) -> None:
    """Somebody votes on the next pairs, each time for a side, whichever place it has."""
    with writing(shop.database) as session:
        for choice in choices:
            pair = votes.next_pair(session, replays.get(session, replay.id), author)
            assert pair is not None
            turn = session.get_one(ReplayTurn, pair.turn_id)
            ballot = {None: Ballot.SKIP, Choice.TIE: Ballot.TIE}.get(choice)
            if ballot is None:
                is_first = (choice == Choice.CANDIDATE) == turn.candidate_first
                ballot = Ballot.FIRST if is_first else Ballot.SECOND
            votes.vote(session, turn, author, ballot)


def names_of(shop: Shop, replay: Replay) -> str:
    """The candidate's name."""
    with writing(shop.database) as session:
        adapter = adapters.by_id(session, replay.adapter_id)
        assert adapter is not None
        return adapter.name
