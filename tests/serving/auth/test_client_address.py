"""Of X-Forwarded-For, only what trusted proxies wrote counts."""

import pytest

from lakehouse.errors import PermanentError
from serving.auth.client_address import TrustedProxies, network_of

TRUSTED = TrustedProxies("10.0.0.0/8, ::1,192.0.2.1")


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("1.2.3.4, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("203.0.113.9:4711, 10.1.1.1", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
        ("<script>, 10.1.1.1", "10.1.1.1"),
        ("unknown", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
def test_the_last_address_that_is_no_trusted_proxy_is_the_client(forwarded_for: str, client: str) -> None:
    assert TRUSTED.client_of("10.0.0.1", forwarded_for) == client


@pytest.mark.parametrize(("peer", "is_trusted"), [("10.9.9.9", True), ("::1", True), ("11.0.0.1", False), ("x", False)])
def test_only_listed_peers_are_trusted(peer: str, is_trusted: bool) -> None:
    assert TRUSTED.trusts(peer) is is_trusted


def test_nobody_is_trusted_by_default() -> None:
    assert not TrustedProxies("")
    assert not TrustedProxies("").trusts("127.0.0.1")


def test_a_wrong_setting_is_an_error_at_startup() -> None:
    with pytest.raises(PermanentError, match="OKR_TRUSTED_PROXIES"):
        TrustedProxies("10.0.0.1/8")


def test_an_ipv6_subscriber_is_one_client() -> None:
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("203.0.113.9") == "203.0.113.9"
