"""TLS: which versions and ciphers nginx accepts, HTTP/2, and the redirect from HTTP."""

import socket
import ssl
import subprocess

import httpx
import pytest

from tests.ops.nginx.proxies import Host, Proxy, Upstream

V = ssl.TLSVersion


def connect(host: Host, proxy: Proxy, version: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0") -> tuple[str, str]:
    """Return the version and the cipher of a connection of a client that offers one version, and even weak ciphers."""
    context = host.context()
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        cipher = tls.cipher()
        assert cipher is not None
        return str(tls.version()), cipher[0]


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_tls_1_2_and_1_3_are_accepted_with_forward_secrecy(
    host: Host, recorded: tuple[Proxy, Upstream], version: ssl.TLSVersion
) -> None:
    name, cipher = connect(host, recorded[0], version)
    assert name.replace(".", "_") == version.name
    assert cipher.startswith("TLS_" if version == V.TLSv1_3 else "ECDHE-")


@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_versions_are_refused(host: Host, recorded: tuple[Proxy, Upstream], version: ssl.TLSVersion) -> None:
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        connect(host, recorded[0], version)


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"])
def test_weak_ciphers_are_refused(host: Host, recorded: tuple[Proxy, Upstream], ciphers: str) -> None:
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        connect(host, recorded[0], V.TLSv1_2, f"{ciphers}:@SECLEVEL=0")


def test_http_2_is_spoken(host: Host, recorded: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = recorded
    curl = ["curl", "-s", "--http2", "--noproxy", "*", "--cacert", str(host.authority.file)]
    command = [*curl, "-w", " %{http_version}", f"{proxy.url}/two?x=1"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout == "ok 2"
    assert upstream.heads[-1].startswith(b"GET /two?x=1 HTTP/1.1\r\n")
    assert upstream.headers()["host"] == [proxy.site.authority]


def test_http_is_redirected_with_its_method_to_the_configured_name(recorded: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = recorded
    before = len(upstream.heads)
    address = f"http://{proxy.site.http_listen[0]}/v1/teams?x=%0d%0aSet-Cookie:x"
    answer = httpx.post(address, headers={"Host": "evil.example"}, trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (308, f"{proxy.url}/v1/teams?x=%0d%0aSet-Cookie:x")
    assert "strict-transport-security" not in answer.headers  # browsers ignore it without TLS
    plain = httpx.get(f"http://{proxy.site.authority}/v1/teams", trust_env=False)
    assert (plain.status_code, plain.headers["location"]) == (308, f"{proxy.url}/v1/teams")
    assert len(upstream.heads) == before


def test_the_certificate_authority_s_challenge_is_answered_without_tls(
    host: Host, recorded: tuple[Proxy, Upstream]
) -> None:
    folder = host.folder / "acme" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("answer")
    answer = httpx.get(f"http://{recorded[0].site.http_listen[0]}/.well-known/acme-challenge/token", trust_env=False)
    assert (answer.status_code, answer.text) == (200, "answer")


def test_a_request_for_another_name_reaches_neither_the_api_nor_a_file(recorded: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = recorded
    before = len(upstream.heads)
    with proxy.client(headers={"Host": "evil.example"}) as client:
        assert client.get("/v1/teams").status_code == 421
        assert client.get("/static/okr.css").status_code == 421
    assert len(upstream.heads) == before
