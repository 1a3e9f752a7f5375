"""The HTML pages: scorecard, key result, login, logout and the static sites."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import FileResponse, RedirectResponse
from starlette.responses import Response

from serving.auth.authorization import ClientDep, RequireSession, same_origin, session_cookie
from serving.auth.roles import Identity, Right
from serving.auth.schemas import LoginForm
from serving.auth.visibility import parameters
from serving.data.filters import KeyResultFilter
from serving.errors import NotPublished, NotSignedIn, PasswordChangeRequired, TooManyAttempts
from serving.http.strict_requests import StrictRoute
from serving.publication_holds import hold_summary
from serving.schemas import Name
from serving.services import ServicesDep
from serving.web.password_page import ONE_TIME, Renderer, password_page
from serving.web.scorecard import MAX_SHOWN, SHOWN
from serving.web.static_sites import CATALOG_POLICY, QUALITY_POLICY, site_file

router = APIRouter(include_in_schema=False, route_class=StrictRoute)
sites = APIRouter(include_in_schema=False)  # not strict, because the sites' scripts send query parameters

PageVisitor = Annotated[Identity, Depends(RequireSession(Right.SEE_PAGES))]
Shown = Annotated[int, Query(ge=1, le=MAX_SHOWN)]
Names = Annotated[list[Name] | None, Query(max_length=100)]
OneName = Annotated[Name | None, Query()]
HOME, DOCS = "/", "/docs"


@router.get(HOME)
def scorecard(  # noqa: PLR0913, PLR0917 -- the query parameters of the page
    visitor: PageVisitor,
    services: ServicesDep,
    pages: Renderer,
    show: Shown = SHOWN,
    cycle: Names = None,
    team: Names = None,
    archived: bool = False,
) -> Response:
    """Show the key results at risk in the running or requested cycles, with probabilities and reasons."""
    wanted = KeyResultFilter(teams=team or [], cycles=cycle or [], archived=archived)
    hold = hold_summary(services.publication_holds.current())
    try:
        page = services.scorecard.page(parameters(visitor), wanted, show)
    except NotPublished:
        return pages.render("empty.html", visitor=visitor, path=HOME, hold=hold)
    return pages.render(
        "scorecard.html", page=page, visitor=visitor, path=HOME, max_shown=MAX_SHOWN, hold=hold,
        filters=urlencode([*(("cycle", name) for name in wanted.cycles), *(("team", name) for name in wanted.teams)]),
    )  # fmt: skip


@router.get("/key-results/{key_result_id:path}")
def key_result(
    key_result_id: str,
    visitor: PageVisitor,
    services: ServicesDep,
    pages: Renderer,
    cycle: OneName = None,
) -> Response:
    """Show a key result's progress, forecast and check-ins in its current cycle or the requested cycle."""
    page = services.scorecard.key_result_page(parameters(visitor), key_result_id.replace("\x00", ""), cycle)
    return pages.render("key_result.html", page=page, visitor=visitor)


@router.get("/favicon.ico")
def icon() -> Response:
    """Redirect browsers that request the default icon path."""
    return RedirectResponse("/static/okr.svg", 301)


@router.get("/login")
def login_form(pages: Renderer, next: str = HOME) -> Response:  # noqa: A002 -- the name of the query parameter
    """Show the login form."""
    return pages.render("login.html", message=None, username="", next_path=_local_path(next))


@router.post("/login", dependencies=[Depends(same_origin)])
def login(
    request: Request, form: Annotated[LoginForm, Form()], client: ClientDep, services: ServicesDep, pages: Renderer
) -> Response:
    """Start a session and set its cookie. The browser's previous session, if any, ends."""
    auth, next_path, previous_cookie = services.auth, _local_path(form.next), session_cookie(request, services)
    try:
        account = auth.login.verify(form.username, form.password, client)
    except PasswordChangeRequired:
        return password_page(pages, ONE_TIME, username=form.username)
    except (NotSignedIn, TooManyAttempts) as error:
        status = 401 if isinstance(error, NotSignedIn) else 429
        return pages.render("login.html", status, message=str(error), username=form.username, next_path=next_path)
    if previous_cookie is not None:
        auth.sessions.end_by_cookie(previous_cookie)
    cookie = auth.sessions.start(account, client.program)
    sees_pages = account.identity("").may(Right.SEE_PAGES)
    response = RedirectResponse(next_path if sees_pages or next_path != HOME else DOCS, 303)
    auth.cookies.set_session(response, cookie, request.url.scheme)
    auth.cookies.set_device(response, auth.known_clients.device_cookie(account), request.url.scheme)
    return response


@router.post("/logout", dependencies=[Depends(same_origin)])
def logout(request: Request, client: ClientDep, services: ServicesDep) -> Response:
    """End the session and delete its cookie."""
    services.auth.logout.end(None, session_cookie(request, services), client.address)
    response = RedirectResponse("/login", 303)
    services.auth.cookies.delete_session(response, request.url.scheme)
    return response


@sites.get("/catalog/{path:path}", dependencies=[Depends(RequireSession(Right.SEE_SITES))])
def catalog(path: str, services: ServicesDep) -> Response:
    """Serve a file of dbt's documentation."""
    return _site(services.settings.sites_dir / "catalog", path, CATALOG_POLICY)


@sites.get("/quality/{path:path}", dependencies=[Depends(RequireSession(Right.SEE_SITES))])
def quality(path: str, services: ServicesDep) -> Response:
    """Serve a file of Great Expectations' Data Docs."""
    return _site(services.settings.sites_dir / "quality", path, QUALITY_POLICY)


def _site(site: Path, path: str, policy: str) -> Response:
    return FileResponse(site_file(site, path), headers={"Content-Security-Policy": policy})


def _local_path(path: str) -> str:
    """Return the path if it belongs to this site, or the path of the start page if not."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else HOME
