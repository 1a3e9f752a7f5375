"""The methods that a path supports, for the header Allow."""

from fastapi import Request
from starlette.routing import BaseRoute, Match, Mount, Route

FILES = frozenset({"GET", "HEAD"})


def allowed_methods(request: Request) -> str:
    """Return the methods of all routes that match the request's path, and OPTIONS, which every path supports."""
    found = {"OPTIONS"}
    # Within a mounted application, root_path is the path of the mount.
    scope = {**request.scope, "root_path": request.scope.get("app_root_path", "")}
    for route in request.app.routes:
        if route.matches(scope)[0] is not Match.NONE:
            found |= _methods(route)
    if "GET" in found:
        found.add("HEAD")
    return ", ".join(sorted(found))


def _methods(route: BaseRoute) -> frozenset[str]:
    if isinstance(route, Route):
        return frozenset(route.methods or ())
    return FILES if isinstance(route, Mount) else frozenset()
