"""What the forms of operators have in common: where a page goes after an act, and lines as lists."""

from fastapi import Request
from fastapi.responses import RedirectResponse

from feedback import promotions
from feedback.conversations import check_name
from feedback.errors import Invalid
from feedback.swap_tables import RequestState
from service.console.session import Seat

DONE = {
    "promoted": "Done. The engines were seen to compute it, and new conversations speak with it.",
    "promoted_but": "Done. New conversations speak with it, but for the topics that you left where they are.",
    "waits": "Asked for. It goes live by itself once enough engines were seen to compute it.",
    "candidate_rejected": "The candidate was rejected. Live stays as it is.",
    "released": "Released. What was said so far teaches from the next cycle on.",
    "rejected": "Rejected. What was said so far never teaches; it stays on record.",
    "trial_started": "The trial has begun, and waits until an engine was seen to compute the candidate.",
    "trial_stopped": "The trial has ended. New conversations speak with what is live.",
    "replay_requested": "The replay is asked for; a loop takes it up within seconds.",
    "votes_passed": "The votes speak for it: it may go live. The decision is below.",
    "votes_refused": "The votes do not let it go live, for the reasons below.",
    "accepted": "The question is a ticket now, with your answer as its reference.",
    "dismissed": "The question will be no ticket.",
    "rolled_back": "Rolled back. New conversations speak with what was live before.",
    "withdrawn": "What was asked for before is withdrawn. What is live stays as it was.",
    "removed": "The files are removed. What those adapters learned, said and scored stays on record.",
    "removed_soon": "Decided. The loop deletes the files within seconds of looking for work.",
    "requested": "The cycle is requested; a loop takes it up within seconds.",
    "stopped": "The cycle is asked to stop.",
    "added": "The ticket is in the exam. Neither it nor anything close to it will ever train.",
    "probes": "The safety probes are in the exam.",
    "retired": "The ticket is out of the exam; it stays on record.",
    "correction_ticket": "It is a ticket now: from the next cycle on it examines, and no longer teaches.",
    "incident_reported": "Reported. An operator finds it among the proposed tickets.",
    "incident_ticket": "The incident is a ticket now. Neither it nor anything close to it will ever train.",
    "policy_added": "Corrections and tickets may rest on it from now on.",
    "policy_retired": "Retired. What rests on it neither teaches nor is asked. See the adapters it names.",
    "policy_restored": "In force again. What rests on it teaches and is asked as before.",
    "erased": "They are out of the database. The loop does the files within seconds of looking for work.",
    "saved": "Saved. It holds from the next answer on.",
    "same": "Nothing was different; nothing was changed.",
}
"""What a page says at its top after an act: `?done=promoted`."""


def back(here: Seat, path: str, done: str) -> RedirectResponse:
    """To a page of this assistant, which then says what was done."""
    return RedirectResponse(f"/console/{here.desk.name}/{path}?done={done}", 303)


def became(request: Request, request_id: str, done: str) -> str:
    """What a page says after a promotion was asked for; Conflict with the reasons if it was refused."""
    state = request.app.state
    ended = promotions.outcome(request_id, state.settings.swap_wait_seconds, state.database)
    if promotions.only_withdrew(ended):
        return "withdrawn"
    return "waits" if ended.state == RequestState.WAITING else done


def said(done: str) -> str | None:
    """The sentence for what was done; None for what we never say."""
    return DONE.get(done)


def reason_given(text: str) -> str:
    """The reason for an act, or Invalid: whoever comes later wants to know why."""
    if not text.strip():
        raise Invalid("Say in a few words why; it is kept with what you do.")
    return check_name(text, "reason", 2000)


def lines_of(text: str) -> list[str]:
    """The lines of a field that hold something."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def number(text: str, what: str) -> float:
    """A number from a field, or Invalid that names the field."""
    try:
        return float(text)
    except ValueError:
        raise Invalid(f"Found {text!r} as {what}; expected a number.") from None


def whole_number(text: str, what: str) -> int:
    """A whole number from a field, or Invalid that names the field."""
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"Found {text!r} as {what}; expected a whole number.") from None
