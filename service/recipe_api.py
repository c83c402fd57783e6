"""The recipe over REST: what of the settings of training an assistant has for itself."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from feedback import assistants, audit
from feedback.database import reading, writing
from feedback.recipes import Recipe, recipe_of
from service.engine.fitting import check_adapter
from service.permissions import OPERATORS, STAFF, Caller, allow, assistant_for
from service.shapes import Shape

router = APIRouter(prefix="/v1", tags=["operations"])
Staff = Annotated[Caller, Depends(allow(*STAFF))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


class RecipeIn(Shape):
    """What an assistant is trained with from the next cycle on."""

    recipe: Recipe = Field(description="What is not given, or null, is as the settings say.")
    assistant: str | None = None


@router.get("/recipe")
def show_recipe(request: Request, caller: Staff, assistant: str | None = None) -> Recipe:
    """What the assistant has for itself; null: as the settings of the loop say."""
    with reading(request.app.state.database) as session:
        return recipe_of(assistant_for(session, caller, assistant))


@router.put("/recipe")
def set_recipe(request: Request, wanted: RecipeIn, caller: Operator) -> Recipe:
    """Change what the assistant is trained with, from its next cycle on. `{}`: as the settings say."""
    recipe = wanted.recipe
    check_adapter(recipe.lora_rank, recipe.modules, request.app.state.settings)
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, wanted.assistant)
        changed = assistants.change(session, owner, recipe=recipe.own)
        if changed:
            before, after = changed["recipe"]
            actor = caller.actor(owner.id)
            subject = f"{owner.name}: recipe"
            audit.record(
                session, actor, "assistant.change", subject, owner.id, before=before, after=after
            )
    return recipe
