"""The settings that only operators' actions need. A host can do without them."""

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from serving.errors import NotConfigured


def operator_setting(settings: Settings, field: str, action: str) -> str:
    """Return a setting as text that is not empty. `action` completes the sentence "This host cannot ...".

    Raises:
        NotConfigured: the setting is empty.
    """
    try:
        return settings.require(field)
    except PermanentError as error:
        raise NotConfigured(
            f"This host cannot {action}, because it lacks the setting OKR_{field.upper()}. Use a host that has it, or "
            "the command `okr`."
        ) from error
