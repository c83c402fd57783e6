"""What is really there: the settings' names, the commands, the service's routes."""

import typer
from typer.core import TyperGroup

import understudy
from evals.doors import DOORS
from evals.settings import EvalsSettings
from feedback.database import connect
from feedback.settings import FeedbackSettings, PackageSettings
from service.app import create_app
from service.engine.guard import OPEN
from service.settings import ServiceSettings
from training.settings import TrainingSettings

CLASSES: tuple[type[PackageSettings], ...] = (
    FeedbackSettings,
    ServiceSettings,
    EvalsSettings,
    TrainingSettings,
)


def setting_names() -> set[str]:
    """Every setting by its environment name."""
    return {
        f"{settings.model_config['env_prefix']}{name}".upper()
        for settings in CLASSES
        for name in settings.model_fields
    }


def is_command(words: list[str]) -> bool:
    """Whether these words name one command of ours; what follows it is not looked at."""
    command = typer.main.get_command(understudy.app)
    for word in words:
        if not isinstance(command, TyperGroup):
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return not isinstance(command, TyperGroup)


def answers_get(part: str) -> set[str]:
    """The paths that part answers without a key."""
    if part == "engine":
        return set(OPEN)
    app = create_app(ServiceSettings(), connect("sqlite:///:memory:"), DOORS)
    return {str(getattr(route, "path", "")) for route in app.routes}
