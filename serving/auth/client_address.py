"""The client's address and scheme behind trusted proxies, whose X-Forwarded-For and X-Forwarded-Proto are believed.

Any client can send these headers. They are used only if the peer's address is in OKR_TRUSTED_PROXIES. Of a list of
addresses, only the part that trusted proxies appended is used.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from lakehouse.errors import PermanentError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
SCHEMES = {b"http": "http", b"https": "https"}
UNKNOWN = "unknown"
IPV6_SUBSCRIBER = 64


class TrustedProxies:
    """The addresses and networks in OKR_TRUSTED_PROXIES."""

    def __init__(self, setting: str) -> None:
        try:
            self._networks = [ip_network(part.strip()) for part in setting.split(",") if part.strip()]
        except ValueError as error:
            raise PermanentError(
                f"OKR_TRUSTED_PROXIES is invalid ({error}): expected addresses or networks, separated by commas, such "
                "as 127.0.0.1,10.0.0.0/8"
            ) from error
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._networks)

    def client_of(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the last one in X-Forwarded-For that is not a trusted proxy.

        `peer` must be trusted. If an entry is not an address, the proxy that appended it is returned.
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
            if peer is not None and self._trusted.trusts(peer[0]):
                scope = self._forwarded(scope, peer[0])
        await self._app(scope, receive, send)

    def _forwarded(self, scope: Scope, peer: str) -> Scope:
        forwarded_for, scheme = [], scope["scheme"]
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                forwarded_for.append(value.decode("latin-1"))
            elif name == b"x-forwarded-proto":
                scheme = SCHEMES.get(value.rpartition(b",")[2].strip().lower(), scheme)
        client = self._trusted.client_of(peer, ",".join(forwarded_for)) if forwarded_for else peer
        return {**scope, "client": (client, 0), "scheme": scheme}


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
