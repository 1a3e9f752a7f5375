"""Show errors as HTML pages in browsers: the login form for a 401, and an error page for any other error."""

from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from serving.http.error_responses import Present, Problem
from serving.web.template_renderer import Pages

API_PATHS = (
    "/v1/",
    "/predict",
    "/models",
    "/admin/",
    "/auth/",
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
)


def presenter(pages: Pages) -> Present:
    """Return the function that `error_responses.install` calls for each error."""

    def present(request: Request, problem: Problem) -> Response | None:
        asks_for_html = "text/html" in request.headers.get("accept", "")
        if not asks_for_html or request.url.path.startswith(API_PATHS):
            return None
        if problem.status == 401:
            current_path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(current_path)}", 303)
        response = pages.render("error.html", problem.status, title=problem.title, detail=problem.detail)
        response.headers.update(problem.headers)
        return response

    return present
