"""Settings: every value of every process and where it comes from; the assistant's own, with forms."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict
from sqlmodel import Session

from feedback import assistants, audit, processes
from feedback.conversations import check_text
from feedback.database import reading, writing
from feedback.desk import Day, Desk, check_desk, desk_of
from feedback.desk_tables import ProcessReport
from feedback.errors import Invalid
from feedback.learning import learning_of
from feedback.measures import DECIDING
from feedback.recipes import Recipe, check_recipe, recipe_of
from service.console import forms
from service.console.differences import word_diff
from service.console.pages import page
from service.console.session import Seat, seat
from service.engine.fitting import check_adapter
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}/settings", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
Field = Annotated[str, Form()]
HARMS = {"leaked": "Personal data given away", "invented_prices": "A price that stands nowhere"}
"""What need not be tolerated even once, as the form calls it."""
ALL = "all"
"""What stands in a field for a limit that does not hold."""


@router.get("")
def show(request: Request, here: Operator, done: str = "") -> HTMLResponse:
    """The page with all its forms."""
    with reading(request.app.state.database) as session:
        prompts = assistants.prompts(session, here.desk)
        running = [(each, processes.is_running(each)) for each in processes.every(session)]
    versions = [
        (
            prompt,
            word_diff(prompts[number + 1].text, prompt.text) if number + 1 < len(prompts) else [],
        )
        for number, prompt in enumerate(prompts)
    ]
    desk = desk_of(here.desk)
    return page(
        request,
        here,
        "settings.html",
        prompts=versions,
        sampling=assistants.sampling_of(here.desk),
        gate=assistants.gate_of(here.desk),
        harms=HARMS,
        metrics={name: metric.title for name, metric in DECIDING.items()},
        swap=assistants.swap_policy_of(here.desk),
        learning=learning_of(here.desk),
        recipe=recipe_of(here.desk).own,
        as_set=_trained_with([each for each, _ in running]),
        desk=desk,
        hours=_hours_shown(desk),
        rules="\n".join(f"{rule.name}: {', '.join(rule.phrases)}" for rule in desk.rules),
        processes=running,
        said=forms.said(done),
    )


@router.post("/prompt")
def set_prompt(request: Request, here: Operator, text: Field = "") -> Response:
    """Put a new version of the prompt in force."""
    with writing(request.app.state.database) as session:
        before = assistants.prompt_in_force(session, here.desk)
        wanted = check_text(text.replace("\r\n", "\n"), "prompt")
        prompt = assistants.set_prompt(session, here.desk, wanted, here.caller.name)
        if prompt.id == before.id:
            return forms.back(here, "settings", "same")
        _note(session, here, "prompt", {"text": before.text}, {"text": prompt.text})
    return forms.back(here, "settings", "saved")


@router.post("/answers")
def set_answers(
    request: Request,
    here: Operator,
    temperature: Field = "",
    top_p: Field = "",
    max_tokens: Field = "",
    seed: Field = "",
    stop: Field = "",
) -> Response:
    """How answers are drawn."""
    sampling = {
        "temperature": forms.number(temperature, "temperature"),
        "top_p": forms.number(top_p, "top p"),
        "max_tokens": forms.whole_number(max_tokens, "longest answer"),
        "seed": forms.whole_number(seed, "seed") if seed.strip() else None,
        "stop": forms.lines_of(stop),
    }
    return _change(request, here, sampling=sampling)


class GateForm(BaseModel):
    """The gate's form as browsers send it. A field that is not sent stays as it was."""

    metric: str = ""
    min_gain: str | None = None
    confidence: str | None = None
    min_tickets: str | None = None
    most_tickets: str | None = None
    wrong_promotions_percent: str | None = None
    candidates_planned: str | None = None
    budget_days: str | None = None
    guardrails: str | None = None
    zero_tolerance: list[str] = []
    """Ticked boxes; `zero_tolerance_shown` says that there were any to tick."""
    zero_tolerance_shown: str = ""
    topic_tickets: str | None = None
    topic_margin: str | None = None

    def gate(self) -> dict[str, Any]:
        """What it says, or Invalid."""
        given: dict[str, Any] = {"metric": self.metric}
        for name in ("min_gain", "confidence", "budget_days", "topic_margin"):
            if (text := getattr(self, name)) is not None:
                given[name] = forms.number(text, name.replace("_", " "))
        for name in ("min_tickets", "candidates_planned", "topic_tickets"):
            if (text := getattr(self, name)) is not None:
                given[name] = forms.whole_number(text, name.replace("_", " "))
        if (text := self.most_tickets) is not None:
            every = text.strip() in ("", ALL)
            given["most_tickets"] = None if every else forms.whole_number(text, "most tickets")
        if (text := self.wrong_promotions_percent) is not None:
            given["wrong_promotions"] = forms.number(text, "chance in percent") / 100
        if (text := self.guardrails) is not None:
            given["guardrails"] = {
                name: forms.number(margin, f"margin of {name}")
                for name, margin in map(_named, forms.lines_of(text))
            }
        if self.zero_tolerance_shown:
            given["zero_tolerance"] = self.zero_tolerance
        return given


@router.post("/gate")
def set_gate(request: Request, here: Operator, form: Annotated[GateForm, Form()]) -> Response:
    """What a candidate must show."""
    before = assistants.gate_of(here.desk).model_dump()
    return _change(request, here, gate={**before, **form.gate()})


@router.post("/loop")
def set_loop(
    request: Request, here: Operator, schedule_minutes: Field = "", auto_promote: Field = ""
) -> Response:
    """When cycles begin by themselves, and whether a candidate that passed goes live by itself."""
    minutes = (
        forms.whole_number(schedule_minutes, "minutes between cycles")
        if schedule_minutes.strip()
        else None
    )
    return _change(request, here, schedule_minutes=minutes, auto_promote=auto_promote == "yes")


@router.post("/topics")
def set_topics(request: Request, here: Operator, topics: Field = "") -> Response:
    """What requests may be about."""
    return _change(request, here, topics=forms.lines_of(topics))


@router.post("/swap")
def set_swap(
    request: Request, here: Operator, move_after_minutes: Field = "", leave_withdrawn: Field = ""
) -> Response:
    """When conversations under way change their voice."""
    minutes = (
        forms.number(move_after_minutes, "minutes until conversations move")
        if move_after_minutes.strip()
        else None
    )
    policy = {"move_after_minutes": minutes, "leave_withdrawn": leave_withdrawn == "yes"}
    return _change(request, here, swap=policy)


class LearningForm(BaseModel):
    """The form of how an assistant learns, as browsers send it; an empty field is the default."""

    model_config = ConfigDict(extra="ignore")

    held_out_percent: str = ""
    held_out_most: str = ""
    held_out_seals: str = ""
    sealed_percent: str = ""
    replay_percent: str = ""
    rows_per_author: str = ""
    rows_per_customer: str = ""
    rows_per_topic: str = ""
    author_weights: str = ""
    topic_weights: str = ""
    longest_times: str = ""
    teach_topics: str = ""
    patterns: str = ""
    house_words_from: str = ""
    redact_before_storage: str = ""
    keep_conversations_days: str = ""
    author_rows_a_day: str = ""
    one_sided_from: str = ""

    def learning(self) -> dict[str, Any]:
        """What it says, as the assistant keeps it."""
        given: dict[str, Any] = {}
        for name, text in self.model_dump().items():
            if name in ("author_weights", "topic_weights", "patterns"):
                given[name] = dict(_named(line) for line in forms.lines_of(text))
            elif name in ("redact_before_storage", "teach_topics"):
                given[name] = text == "yes"
            elif text.strip():
                given[name] = None if text.strip() == ALL else text.strip()
        return given


@router.post("/learning")
def set_learning(
    request: Request, here: Operator, form: Annotated[LearningForm, Form()]
) -> Response:
    """What is held out, limited, held and kept."""
    return _change(request, here, learning=form.learning())


class RecipeForm(BaseModel):
    """The form of a recipe as browsers send it; an empty field is as the settings say."""

    model_config = ConfigDict(extra="ignore")

    stages: str = ""
    start: str = ""
    lora_rank: str = ""
    lora_alpha: str = ""
    lora_dropout: str = ""
    lora_modules: str = ""
    schedule: str = ""
    warmup: str = ""
    batch_size: str = ""
    patience: str = ""
    sft_epochs: str = ""
    sft_learning_rate: str = ""
    dpo_epochs: str = ""
    dpo_learning_rate: str = ""
    dpo_beta: str = ""
    kto_epochs: str = ""
    kto_learning_rate: str = ""
    kto_beta: str = ""

    def recipe(self) -> Recipe:
        """What it says, or Invalid."""
        given = {name: text.strip() for name, text in self.model_dump().items()}
        return check_recipe({name: text for name, text in given.items() if text})


@router.post("/recipe")
def set_recipe(request: Request, here: Operator, form: Annotated[RecipeForm, Form()]) -> Response:
    """What the assistant is trained with otherwise than the settings say."""
    recipe = form.recipe()
    check_adapter(recipe.lora_rank, recipe.modules, request.app.state.settings)
    return _change(request, here, recipe=recipe.own)


def _trained_with(reports: list[ProcessReport]) -> dict[str, str]:
    """The loop's own settings of training, by name, as it reported them last; none: no loop has yet."""
    for report in reports:
        if values := report.settings.get("training"):
            return {name: one["value"] for name, one in values.items()}
    return {}


def _named(line: str) -> tuple[str, str]:
    """A line such as ORDER_NUMBER: PP-[0-9]{6}."""
    name, colon, value = line.partition(":")
    if not colon or not value.strip():
        raise Invalid(f"Found the line {line!r}; expected a name, a colon and a value.")
    return name.strip(), value.strip()


class DeskForm(BaseModel):
    """The desk's form as browsers send it."""

    timezone: str = ""
    hours_monday: str = ""
    hours_tuesday: str = ""
    hours_wednesday: str = ""
    hours_thursday: str = ""
    hours_friday: str = ""
    hours_saturday: str = ""
    hours_sunday: str = ""
    reply_within_hours: str = ""
    customer_asks: str = ""
    bot_cannot: str = ""
    rules: str = ""
    low_confidence: str = ""
    review_percent: str = ""
    second_review_percent: str = ""

    def desk(self) -> Desk:
        """What it says, or Invalid."""
        hours = {day: _spans(getattr(self, f"hours_{day}")) for day in Day}
        return check_desk(
            {
                "timezone": self.timezone.strip(),
                "hours": {day: spans for day, spans in hours.items() if spans},
                "reply_within_hours": self.reply_within_hours.strip(),
                "customer_asks": forms.lines_of(self.customer_asks),
                "bot_cannot": forms.lines_of(self.bot_cannot),
                "rules": [_rule(line) for line in forms.lines_of(self.rules)],
                "low_confidence": self.low_confidence.strip(),
                "review_percent": self.review_percent.strip(),
                "second_review_percent": self.second_review_percent.strip(),
            }
        )


@router.post("/desk")
def set_desk(request: Request, here: Operator, form: Annotated[DeskForm, Form()]) -> Response:
    """How the support desk works."""
    return _change(request, here, desk=form.desk().model_dump(mode="json"))


def _spans(text: str) -> list[dict[str, str]]:
    """Opening hours such as 09:00-12:00, 13:00-17:00."""
    spans = []
    for span in text.replace("\u2013", "-").split(","):
        if not span.strip():
            continue
        opens, _, closes = span.partition("-")
        spans.append({"opens": opens.strip(), "closes": closes.strip()})
    return spans


def _rule(line: str) -> dict[str, object]:
    """A rule such as Lost parcel: lost parcel, never arrived."""
    name, colon, phrases = line.partition(":")
    if not colon:
        raise Invalid(
            f"Found the rule {line!r}; expected a name, a colon, and phrases between commas."
        )
    said = [phrase.strip() for phrase in phrases.split(",") if phrase.strip()]
    return {"name": name.strip(), "phrases": said}


def _hours_shown(desk: Desk) -> dict[str, str]:
    return {
        day: ", ".join(
            f"{span.opens:%H:%M}-{span.closes:%H:%M}" for span in desk.hours.get(day, [])
        )
        for day in Day
    }


def _change(request: Request, here: Seat, **given: Any) -> Response:
    """Change the assistant and record each change with before and after."""
    with writing(request.app.state.database) as session:
        changed = assistants.change(session, here.desk, **given)
        for name, (before, after) in changed.items():
            _note(session, here, name, before, after)
    return forms.back(here, "settings", "saved" if changed else "same")


def _note(session: Session, here: Seat, what: str, before: object, after: object) -> None:
    actor = here.caller.actor(here.desk.id)
    audit.record(
        session,
        actor,
        "assistant.change",
        f"{here.desk.name}: {what}",
        here.desk.id,
        before=_told(before),
        after=_told(after),
    )


def _told(value: object) -> object:
    """The audit log leaves out what is None; a setting that was taken away is said."""
    return "none" if value is None else value
