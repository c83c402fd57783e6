"""One of everything that routes take the id of, at the shop; the same ids made up; and who asks for them.

For the tables of permissions (here and in tests/console) and for what must hold on every route.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi.routing import APIRoute
from sqlmodel import Session

from feedback import adapters, api_keys, assistants, corrections, handovers, policies, sites, staff
from feedback.database import writing
from feedback.desk_tables import Review, ReviewSource
from feedback.exam_tables import Replay, ReplayState, ReplayTurn
from feedback.ids import new_id
from feedback.settings import feedback_settings
from feedback.swap_tables import TicketProposal, Trial, TrialKind
from feedback.tables import Assistant, Conversation, FeedbackKind, Role, now
from feedback.trust_tables import Erasure, Hold
from service import visitors
from service.kept_secret import kept_secret
from tests.console.trained import Trained, add_tickets, teach, train
from tests.feedback.said import answered
from tests.service.conftest import Shop

PLACE = re.compile(r"\{\w+\}")


def flat(found: Any) -> list[tuple[str, APIRoute]]:
    """Every route of an application with its whole path."""
    return [(route.path, route) for route in found if isinstance(route, APIRoute)]


class Ids(dict[str, str]):
    """Ids by their places in paths and bodies."""

    spent = False
    """Whether an act has got through with them, after which they may mean something else."""


@dataclass
class World:
    """The shop after a cycle, with visitors of its site. `ids` has real ids for a call."""

    shop: Shop
    trained: Trained = field(init=False)
    visitor: str = field(init=False)
    """A visitor's token; `ids` lets every conversation be theirs and the site key's."""
    other_visitor: str = field(init=False)
    visitor_of_the_bakery: str = field(init=False)
    customer_id: str = field(init=False)
    made: int = 0
    unspent: dict[str, Ids] = field(default_factory=dict)

    def __post_init__(self) -> None:
        teach(self.shop)
        add_tickets(self.shop, 2)
        self.trained = train(self.shop)
        secret = kept_secret(feedback_settings().var_dir, "service_secret_key")
        with writing(self.shop.database) as session:
            owner = assistants.get(session, "shop")
            site = sites.create(session, owner, "Shop", ["https://shop.example"])
            customer, self.visitor = visitors.welcome(session, secret, site, None, None)
            self.customer_id = customer.id
            theirs = sites.create(session, assistants.get(session, "bakery"), "Bakery", [])
            _, self.other_visitor = visitors.welcome(session, secret, site, None, None)
            _, self.visitor_of_the_bakery = visitors.welcome(session, secret, theirs, None, None)

    def ids(self, author: str) -> Ids:
        """Real ids, fresh ones once an act has spent the last; what can be withdrawn is by `author`."""
        if author not in self.unspent or self.unspent[author].spent:
            self.unspent[author] = Ids(self._fresh(author))
        return self.unspent[author]

    def _fresh(self, author: str) -> dict[str, str]:
        self.made += 1
        with writing(self.shop.database) as session:
            owner = assistants.get(session, "shop")
            learned = adapters.datasets_of(session, self.trained.adapter)
            return {
                "{assistant}": owner.name,
                "models/{name}": owner.name,
                "datasets/{name}": learned[0].name,
                "{newer}": learned[0].name,
                "{name}": self.trained.adapter.name,
                "{cycle_id}": self.trained.cycle.id,
                "{decision_id}": self.trained.decision.id,
                "{run_id}": self.trained.decision.candidate_run_id,
                "{ticket}": "ticket-01",
                **self._said(session, owner, author),
                **self._people(session, owner),
            }

    def _said(self, session: Session, owner: Assistant, author: str) -> dict[str, str]:
        asked, answer = answered(session, owner, f"Question {self.made}?")
        talk = session.get_one(Conversation, asked.conversation_id)
        talk.customer_id = self.customer_id
        key = api_keys.identify(session, self.shop.keys["customer"])
        talk.api_key_id = key.id
        word = corrections.give(
            session, answer.id, FeedbackKind.CORRECTION, author, Role.AGENT, text="Better."
        )
        draft = handovers.keep_draft(session, talk, "What the bot would say.")
        review = Review(assistant_id=owner.id, message_id=answer.id, source=ReviewSource.RANDOM)
        answered(session, owner, "Erase me later?", customer=f"passer-by-{self.made}")
        gone = Erasure(
            assistant_id=owner.id, customer_sha256="0" * 64, requested_by=author, reason="Asked.",
            certificate={"what": "customer"}, finished_at=now(),
        )  # fmt: skip
        trial = Trial(
            assistant_id=owner.id, adapter_id=self.trained.adapter.id, kind=TrialKind.SHADOW,
            share=0.01, started_by=author, reason="to see it",
        )  # fmt: skip
        proposal = TicketProposal(assistant_id=owner.id, message_id=answer.id, why="It went wrong.")
        policy = policies.create(session, owner, f"rule {self.made}", "Be kind.", author)
        hold = Hold(
            assistant_id=owner.id, author=f"author {self.made}", reason="It came in a flood."
        )
        replay = Replay(
            assistant_id=owner.id, adapter_id=self.trained.adapter.id, most=1, requested_by=author,
            state=ReplayState.FINISHED, done=1, total=1,
        )  # fmt: skip
        session.add_all([review, trial, proposal, hold, gone, replay])
        session.flush()
        turn = ReplayTurn(
            replay_id=replay.id, message_id=answer.id, candidate_text="Yes.", live_text="No.",
            likeness=10.0,
        )  # fmt: skip
        session.add(turn)
        session.flush()
        return {
            "{conversation_id}": talk.id,
            "{message_id}/demonstrations": asked.id,
            "{message_id}": answer.id,
            "{feedback_id}": word.id,
            "{draft_id}": draft.id,
            "{review_id}": review.id,
            "{trial_id}": trial.id,
            "{replay_id}": replay.id,
            "{turn_id}": turn.id,
            "{proposal_id}": proposal.id,
            "{hold_id}": hold.id,
            "{policy_id}": policy.id,
            "{erasure_id}": gone.id,
            "{customer}": f"passer-by-{self.made}",
        }

    def _people(self, session: Session, owner: Assistant) -> dict[str, str]:
        email = f"clerk-{self.made}@example.com"
        person, secret = staff.invite(session, email, "Clerk", "test")
        staff.grant(session, person, Role.AGENT, owner, "test")
        site = sites.create(session, owner, f"Site {self.made}", ["https://shop.example"])
        return {
            "{person}": email if self.made % 2 else person.id,
            "{staff_id}": person.id,
            "{secret}": secret,
            "{site_id}": site.id,
            "{site_key}": site.public_key,
        }


def made_up(real: Ids) -> Ids:
    """For the same places ids that nothing has, of the same kind."""
    return Ids(
        {
            place: new_id() if len(value) == 26 and value.isalnum() else f"made-up-{value}"
            for place, value in real.items()
        }
    )


def filled(value: Any, ids: dict[str, str]) -> Any:
    """A path or a body with the ids in their places."""
    if isinstance(value, dict):
        return {name: filled(one, ids) for name, one in value.items()}
    if isinstance(value, str):
        for place, ident in ids.items():
            value = value.replace(place, PLACE.sub(ident, place))
    return value


def without_ids(text: str, ids: dict[str, str]) -> str:
    """An answer without the ids it repeats, to be compared with the answer to other ids."""
    for ident in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(ident, "ID")
    return text


def personal_key(shop: Shop, name: str, role: Role, assistant: str) -> str:
    """The API key of a new member of staff, called after their address."""
    with writing(shop.database) as session:
        owner = assistants.get(session, assistant)
        person, _ = staff.invite(session, f"{name}@example.com", name.title(), "test")
        staff.grant(session, person, role, owner, "test")
        return api_keys.create(session, "laptop", role, None, person)[1]


def status_and_text(
    client: httpx.Client, method: str, path: str, ids: Ids, **more: Any
) -> tuple[int, str]:
    """What a call gives; of a stream that may go on for ever only the status."""
    with client.stream(method, path, follow_redirects=False, **more) as response:
        ids.spent |= method != "GET" and response.status_code < 400
        if "event-stream" in response.headers.get("content-type", ""):
            return response.status_code, ""
        response.read()
        return response.status_code, response.text
