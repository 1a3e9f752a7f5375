"""The page on which an account replaces its password, which may be a one-time password."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from serving.auth.authorization import ClientDep, same_origin
from serving.auth.schemas import PasswordForm
from serving.errors import InvalidAccount, NotSignedIn, TooManyAttempts
from serving.http.strict_requests import StrictRoute
from serving.services import ServicesDep
from serving.web.template_renderer import Pages

router = APIRouter(include_in_schema=False, route_class=StrictRoute)
ONE_TIME = "This is a one-time password. Choose your own password."
DIFFERENT = "The two new passwords differ."
CHANGED = "The password was changed. Log in with the new one."


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages


Renderer = Annotated[Pages, Depends(_pages)]


@router.get("/password")
def password_form(pages: Renderer) -> Response:
    """Show the form."""
    return password_page(pages, None)


@router.post("/password", dependencies=[Depends(same_origin)])
def change_password(
    form: Annotated[PasswordForm, Form()], client: ClientDep, services: ServicesDep, pages: Renderer
) -> Response:
    """Replace the password. Every session and token of the account ends."""
    if form.new_password != form.again:
        return password_page(pages, DIFFERENT, 422, form.username)
    try:
        services.auth.login.change_password(form.username, form.password, form.new_password, client)
    except NotSignedIn as error:
        return password_page(pages, str(error), 401, form.username)
    except TooManyAttempts as error:
        return password_page(pages, str(error), 429, form.username)
    except InvalidAccount as error:
        return password_page(pages, str(error), 422, form.username)
    services.auth.sessions.end_all(form.username)
    return pages.render("login.html", message=CHANGED, username=form.username, next_path="/")


def password_page(pages: Pages, message: str | None, status: int = 200, username: str = "") -> Response:
    """Return the page, with a message above the form."""
    return pages.render("password.html", status, message=message, username=username)
