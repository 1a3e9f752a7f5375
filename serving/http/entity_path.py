"""Ids in paths. An id may contain slashes, but a path that ends with an action of an entity is never an id."""

from starlette.convertors import PathConvertor, register_url_convertor

ACTIONS = ("definition", "archival", "deactivation", "closing", "activity")


class EntityIdConvertor(PathConvertor):
    """Matches an id at the end of a path, so that `PUT /v1/teams/x/archival` is a 405 and not the team `x/archival`."""

    regex = f"(?:[^/]+|.+{''.join(f'(?<!/{action})' for action in ACTIONS)})"


register_url_convertor("entity_id", EntityIdConvertor())
