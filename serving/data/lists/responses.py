"""Turn a request for a list into a response: JSON or an export, with an entity tag."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from anyio import CancelScope, move_on_after, to_thread
from fastapi import Depends, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from serving.auth.authorization import RequireToken
from serving.auth.roles import Identity, Right
from serving.auth.visibility import parameters
from serving.data.lists.exports import MAX_EXPORT_S, Stream
from serving.data.lists.formats import MEDIA_TYPES, SUFFIXES, Format, chosen_format
from serving.data.lists.list_query import ListQuery
from serving.data.lists.listing import Listing
from serving.data.lists.service import ListRequest
from serving.publication_reader import Publication
from serving.services import Services, ServicesDep

CACHE = "private, no-cache"  # only the client may store it and must revalidate it (If-None-Match) before each use
VARY = "Accept, Authorization"


@dataclass(frozen=True)
class ListReader:
    """Reads a list for the caller."""

    request: Request
    services: Services
    identity: Identity

    def __call__(self, listing: Listing, query: ListQuery) -> Response:
        """Return the response.

        Raises:
            UnknownName, ContractViolation, CursorExpired: as in `Lists.page` and `Exports.start`.
            NotAcceptable: the header Accept allows none of the formats.
        """
        wanted = chosen_format(query.format, self.request.headers.get("accept"))
        request = ListRequest(listing, query, parameters(self.identity))
        if sent := self.request.headers.get("if-none-match"):
            publication = self.services.lists.publication()
            etag = request.etag(publication, wanted)
            if _is_known(sent, etag):
                return Response(status_code=304, headers=_headers(publication, etag))
        if wanted is Format.JSON:
            return self._page(request)
        export = self.services.exports.start(request, wanted, self.identity.username)
        name = f"{listing.path.rpartition('/')[2]}-{export.publication.publication_id}.{SUFFIXES[wanted]}"
        headers = _headers(export.publication, request.etag(export.publication, wanted))
        media_type = "text/csv; charset=utf-8; header=present" if wanted is Format.CSV else MEDIA_TYPES[wanted]
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return ExportResponse(export.chunks, headers=headers | disposition, media_type=media_type)

    def _page(self, request: ListRequest) -> Response:
        found = self.services.lists.page(request)
        body = {
            "publication_id": found.publication.publication_id,
            "data_as_of": found.publication.data_as_of,
            request.listing.rows_name: found.value.rows,
            "next_cursor": found.value.next_cursor,
        }
        return json_response(body, found.publication, request.etag(found.publication, Format.JSON))


class ExportResponse(StreamingResponse):
    """Streams an export and ends its snapshot, even if the client disconnects."""

    def __init__(self, stream: Stream, **options: Any) -> None:
        super().__init__(stream, **options)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. If it takes too long, it stays incomplete, and the connection is closed."""
        try:
            with move_on_after(MAX_EXPORT_S):
                await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._stream.close)


def json_response(body: dict[str, Any], publication: Publication, etag: str) -> Response:
    """Return a JSON response that a client may revalidate."""
    return Response(msgspec.json.encode(body), headers=_headers(publication, etag), media_type="application/json")


def _headers(publication: Publication, etag: str) -> dict[str, str]:
    return {
        "ETag": etag,
        "Cache-Control": CACHE,
        "Vary": VARY,
        "OKR-Publication-Id": str(publication.publication_id),
        "OKR-Data-As-Of": publication.data_as_of.isoformat(),
    }


def _is_known(sent: str, etag: str) -> bool:
    """Return whether If-None-Match contains the tag (RFC 9110, section 13.1.2; tags are compared weakly)."""
    return any(each.strip().removeprefix("W/") == etag.removeprefix("W/") for each in sent.split(","))


async def list_reader(
    request: Request, services: ServicesDep, identity: Annotated[Identity, Depends(RequireToken(Right.READ_DATA))]
) -> ListReader:
    """FastAPI dependency of the routes of lists."""
    return ListReader(request, services, identity)


async def system_list_reader(
    request: Request, services: ServicesDep, identity: Annotated[Identity, Depends(RequireToken(Right.READ_SYSTEM))]
) -> ListReader:
    """FastAPI dependency of the routes of lists about the installation, which need another right."""
    return ListReader(request, services, identity)


ReadList = Annotated[ListReader, Depends(list_reader)]
ReadSystemList = Annotated[ListReader, Depends(system_list_reader)]
