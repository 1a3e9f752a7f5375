"""Find the served models: the subfolders of `serving.models` that define `MODEL`."""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from lakehouse.errors import PermanentError
from serving.errors import NotFound
from serving.models.served_model import ServedModel
from serving.suggestions import similar_names

PACKAGE = "serving.models"
OUTPUT_NAME = re.compile(r"^[a-z][a-z0-9_]{0,63}$")
DEFAULT_MODEL = "okr_key_result_forecast"


class Catalog:
    """The served models by name.

    Raises:
        PermanentError: an output field has a name that the event contract does not accept.
    """

    def __init__(self, models: Iterable[ServedModel]) -> None:
        models = list(models)
        for model in models:
            if bad := [name for name in model.output.__struct_fields__ if not OUTPUT_NAME.search(name)]:
                raise PermanentError(f"{model.name}: names of output fields must be in snake_case, got {bad}.")
        self._models: Mapping[str, ServedModel] = MappingProxyType({model.name: model for model in models})

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models.values())

    def get(self, name: str) -> ServedModel:
        """Return a model.

        Raises:
            NotFound: no model has this name.
        """
        model = self._models.get(name)
        if model is None:
            raise NotFound(
                "This service has no such model; GET /models lists its models.", similar_names(name, self._models)
            )
        return model


def discover(package: str = PACKAGE) -> Catalog:
    """Return the models of all subfolders of a package."""
    found = importlib.import_module(package)
    folders = [each.name for each in pkgutil.iter_modules(found.__path__) if each.ispkg]
    modules = (importlib.import_module(f"{package}.{name}") for name in folders)
    return Catalog(module.MODEL for module in modules if hasattr(module, "MODEL"))
