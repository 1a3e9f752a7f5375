"""The client's address and scheme behind trusted proxies, whose X-Forwarded-For and X-Forwarded-Proto are believed.

Any client can send these headers. They are used only if the peer's address is in OKR_TRUSTED_PROXIES. A peer that
connects through a UNIX socket has no address; the word `unix` in this setting stands for all of these peers. Of a list
of addresses, only the part that trusted proxies appended is used.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from lakehouse.errors import PermanentError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
SCHEMES = {b"http": "http", b"https": "https"}
UNKNOWN = "unknown"
UNIX = "unix"  # in OKR_TRUSTED_PROXIES: whoever may connect to the UNIX socket of `okr serve --uds`
IPV6_SUBSCRIBER = 64


class TrustedProxies:
    """The addresses and networks in OKR_TRUSTED_PROXIES, and whether it has the word `unix`."""

    def __init__(self, setting: str) -> None:
        words = [part.strip() for part in setting.split(",") if part.strip()]
        self.trusts_unix = UNIX in words
        try:
            self._networks = [ip_network(word) for word in words if word != UNIX]
        except ValueError as error:
            raise PermanentError(
                f"OKR_TRUSTED_PROXIES is invalid ({error}): expected addresses or networks, separated by commas, such "
                f"as 127.0.0.1,10.0.0.0/8, or {UNIX} for a UNIX socket"
            ) from error
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._networks) or self.trusts_unix

    def client_of(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the last one in X-Forwarded-For that is not a trusted proxy.

        `peer` must be trusted; it is empty if it has no address. If an entry is not an address, the proxy that appended
        it is returned.
        """
        client = peer
        for entry in reversed(forwarded_for.split(",")):
            address = _parsed(entry)
            if address is None:
                break
            client = str(address)
            if not self.trusts(client):
                break
        return client

    def _trusts(self, peer: str) -> bool:
        address = _parsed(peer)
        return address is not None and any(
            address in network for network in self._networks if network.version == address.version
        )


class ProxyHeaders:
    """ASGI middleware that replaces `client` and `scheme` of requests from trusted proxies."""

    def __init__(self, app: ASGIApp, trusted: TrustedProxies) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and self._trusted:
            peer = scope.get("client")
            if self._trusted.trusts_unix if _is_unix(scope) else peer is not None and self._trusted.trusts(peer[0]):
                scope = self._forwarded(scope, peer[0] if peer else "")
        await self._app(scope, receive, send)

    def _forwarded(self, scope: Scope, peer: str) -> Scope:
        forwarded_for, scheme = [], scope["scheme"]
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                forwarded_for.append(value.decode("latin-1"))
            elif name == b"x-forwarded-proto":
                scheme = SCHEMES.get(value.rpartition(b",")[2].strip().lower(), scheme)
        client = self._trusted.client_of(peer, ",".join(forwarded_for)) if forwarded_for else peer
        return {**scope, "client": (client, 0) if client else None, "scheme": scheme}


def _is_unix(scope: Scope) -> bool:
    """Return whether the peer connected through a UNIX socket, of which uvicorn gives the path without a port.

    That the peer has no address does not suffice: uvicorn cannot find out the one of a client that has already left.
    """
    server = scope.get("server")
    return scope.get("client") is None and server is not None and server[1] is None


def network_of(address: str) -> str:
    """Return the network of one subscriber: an IPv4 address, or the /64 network of an IPv6 address."""
    parsed = _parsed(address)
    if not isinstance(parsed, IPv6Address):
        return address if parsed is None else str(parsed)
    return str(IPv6Network((int(parsed) >> IPV6_SUBSCRIBER << IPV6_SUBSCRIBER, IPV6_SUBSCRIBER)))


def _parsed(text: str) -> Address | None:
    """Return the address in a text, which may have a port, or None. IPv4 addresses in IPv6 form become IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
