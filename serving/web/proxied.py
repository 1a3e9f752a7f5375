"""What nginx asks before it serves a site, Airflow or MLflow, and what the API answers in their place.

nginx serves these paths itself (infra/nginx). If the check fails, it passes the request on, and the routes below send
the visitor to the login or say which right is missing.
"""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from serving.auth.authorization import RequireSession
from serving.auth.roles import SCOPES, Right
from serving.errors import NotFound
from serving.services import ServicesDep

router = APIRouter(include_in_schema=False)  # not strict, because Airflow and MLflow have query parameters of their own

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
OPERATORS = [Depends(RequireSession(Right.ADMINISTER))]


@router.get("/auth/access/{scope}")
def access(scope: str, request: Request, services: ServicesDep) -> Response:
    """Answer 204 if the browser's session has a right. The scope is its name, for instance `see-sites`.

    Raises:
        NotFound: there is no such right.
        NotSignedIn, NotAllowed: there is no session, or it lacks the right.
    """
    right = SCOPES.get(scope)
    if right is None:
        raise NotFound(f"There is no right {scope!r}. Known rights: {', '.join(SCOPES)}.")
    RequireSession(right)(request, services)
    return Response(status_code=204)


@router.api_route("/airflow/{path:path}", methods=METHODS, dependencies=OPERATORS)
@router.api_route("/mlflow/{path:path}", methods=METHODS, dependencies=OPERATORS)
def behind_nginx(path: str) -> Response:
    """Answer in place of Airflow and MLflow."""
    raise NotFound("The API does not serve this path, but nginx does. Open it at the address of nginx.")
