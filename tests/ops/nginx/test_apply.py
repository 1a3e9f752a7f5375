"""`okr nginx apply`: nginx loads a usable configuration, or continues with the one that it has."""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from infra.local.ports import choose
from infra.nginx import apply as module
from infra.nginx.apply import apply
from infra.nginx.site import Site, configuration
from lakehouse.errors import PermanentError
from tests.ops.certificates import CertificateAuthority, ServerCertificate, expired
from tests.ops.nginx.proxies import USER, Host, Proxy, recording, running


@contextmanager
def configured(host: Host) -> Iterator[Proxy]:
    """Run nginx with a configuration that `apply` has written."""
    with recording() as upstream:
        # The checks run as root, and create files for the user in the configuration.
        site = replace(host.site(upstream.address), user=USER)
        with running(host, site) as proxy:
            assert apply(site, proxy.config, print)
            yield proxy


@pytest.fixture
def proxy(host: Host) -> Iterator[Proxy]:
    """A running nginx, which the test may change."""
    with configured(host) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def kept_proxy(host: Host) -> Iterator[Proxy]:
    """A running nginx for tests that do not change it."""
    with configured(host) as proxy:
        yield proxy


def served(proxy: Proxy) -> int:
    """Return the serial number of the certificate that nginx uses."""
    pem = ssl.get_server_certificate(("127.0.0.1", proxy.port), timeout=10)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def other_site(proxy: Proxy, **changes: object) -> Site:
    """Return a site with another certificate and another limit, so that its configuration differs."""
    issued = proxy.host.authority.issue(f"renewed-{choose(set())}", owner=USER)
    default = replace(proxy.site, certificate=issued.certificate, key=issued.key, requests_per_second=999)
    return replace(default, **changes)  # type: ignore[arg-type]


def assert_unchanged(proxy: Proxy, before: tuple[str, int, int]) -> None:
    assert state_of(proxy) == before
    with proxy.client() as client:
        assert client.get("/livez").text == "ok"
    leftovers = {each.name for each in proxy.config.parent.iterdir()} - {
        "nginx.conf", ".nginx.conf.loaded", "nginx.pid", "error.log", "access.log", "temporary",
    }  # fmt: skip
    assert leftovers == set()


def state_of(proxy: Proxy) -> tuple[str, int, int]:
    return proxy.config.read_text(encoding="utf-8"), served(proxy), proxy.master


def test_a_renewed_certificate_and_a_new_configuration_are_loaded_once(proxy: Proxy) -> None:
    before, site = state_of(proxy), other_site(proxy)
    said: list[str] = []
    assert apply(site, proxy.config, said.append)
    assert said[-1] == "nginx has loaded the new configuration."
    after = state_of(proxy)
    assert "rate=999r/s" in after[0]
    assert after[1] != before[1]
    assert after[2] == before[2], "nginx was not restarted"
    assert not apply(site, proxy.config, said.append)
    assert said[-1] == "nginx already has this configuration and certificate."
    # A certificate that is renewed in place.
    renewed = proxy.host.authority.issue("in-place", owner=USER)
    renewed.key.replace(site.key)
    renewed.certificate.replace(site.certificate)
    assert apply(site, proxy.config, said.append)
    assert served(proxy) != after[1]


Case = tuple[dict[str, object], str]
"""What is wrong with a site, and what the message says."""


def with_certificate(issued: ServerCertificate, reason: str) -> Case:
    return {"certificate": issued.certificate, "key": issued.key}, reason


def expired_certificate(host: Host) -> Case:
    return with_certificate(host.authority.issue("expired", ends_at=expired(), owner=USER), "expired on .* Renew it")


def certificate_of_the_future(host: Host) -> Case:
    ends_at = datetime.now(UTC) + timedelta(days=14)
    return with_certificate(host.authority.issue("future", ends_at=ends_at, owner=USER), "valid only from .* clock")


def certificate_of_another_host(host: Host) -> Case:
    issued = host.authority.issue("another", ("okr.example.org", "*.example.com"), owner=USER)
    return with_certificate(issued, r"is for okr.example.org, \*.example.com, not for 127.0.0.1")


def another_key(host: Host) -> Case:
    return {"key": host.authority.issue("another-key", owner=USER).key}, "does not belong to the certificate"


def missing_certificate(host: Host) -> Case:
    return {"certificate": host.folder / "nothing.pem"}, "cannot be read: No such file"


def no_certificate(host: Host) -> Case:
    (host.folder / "text.pem").write_text("text")
    return {"certificate": host.folder / "text.pem"}, "has no certificate in PEM format"


def readable_key(host: Host) -> Case:
    issued = host.authority.issue("readable", owner=USER)
    issued.key.chmod(0o644)
    return with_certificate(issued, "Every user can read the key .* Run .chmod 600")


def with_peer(host: Host, issued: ServerCertificate, reason: str) -> Case:
    changes = {"internal_certificate": issued.certificate, "internal_key": issued.key, "api_hosts": ("127.0.0.1:1",)}
    return {**changes, "authority_file": host.authority.file}, reason


def peer_with_another_name(host: Host) -> Case:
    issued = host.authority.issue("app1", ("okr-api",), owner=USER, is_client=True)
    return with_peer(host, issued, "has the common name app1: other hosts would refuse it. Issue it with .* okr-api")


def peer_without_its_name(host: Host) -> Case:
    return with_peer(host, host.authority.issue("okr-api", owner=USER), "not for okr-api, a name between hosts")


def peer_that_is_only_a_server(host: Host) -> Case:
    issued = host.authority.issue("okr-api", ("okr-api",), owner=USER)
    return with_peer(host, issued, "is only for servers. Issue it for clients, too")


def client_with_the_name_of_nginx(host: Host) -> Case:
    issued = host.authority.issue("okr-api", ("okr-client",), owner=USER, is_client=True)
    changes = {"client_certificate": issued.certificate, "client_key": issued.key}
    return dict(changes), "has the common name okr-api: .* okr-client"


def invalid_port(host: Host) -> Case:
    return {"https_listen": ("127.0.0.1:99999",)}, "refuses the new configuration and keeps the old one: invalid port"


def missing_folder(host: Host) -> Case:
    return {"temporary_folder": Path("/nothing/here")}, "refuses the new configuration.*No such file"


def path_with_a_variable(host: Host) -> Case:
    return {"sites_folder": Path("/srv/$uri")}, "which nginx cannot express"


@pytest.mark.parametrize(
    "case",
    [
        expired_certificate, certificate_of_the_future, certificate_of_another_host, another_key, missing_certificate,
        no_certificate, readable_key, peer_with_another_name, peer_without_its_name, peer_that_is_only_a_server,
        client_with_the_name_of_nginx, invalid_port, missing_folder, path_with_a_variable,
    ],
)  # fmt: skip
def test_an_unusable_site_leaves_the_running_nginx_as_it_is(
    host: Host, kept_proxy: Proxy, case: Callable[[Host], Case]
) -> None:
    before = state_of(kept_proxy)
    changes, reason = case(host)
    with pytest.raises(PermanentError, match=reason) as error:
        apply(replace(other_site(kept_proxy), **changes), kept_proxy.config, print)  # type: ignore[arg-type]
    assert len(str(error.value).splitlines()) == 1
    assert_unchanged(kept_proxy, before)


def test_a_port_of_another_program_leaves_the_running_nginx_as_it_is(proxy: Proxy) -> None:
    """`nginx -t` does not find it: only the running nginx does."""
    before = state_of(proxy)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        site = other_site(proxy, https_listen=(*proxy.site.https_listen, address))
        with pytest.raises(PermanentError, match=f"keeps the old configuration: bind.. to {address} failed"):
            apply(site, proxy.config, print)
        assert_unchanged(proxy, before)
    assert apply(site, proxy.config, print), "it can be repeated"


def test_a_certificate_of_an_unknown_authority_is_accepted_because_only_clients_can_judge_it(proxy: Proxy) -> None:
    foreign = CertificateAuthority(proxy.host.folder / "foreign").issue("foreign", owner=USER)
    (proxy.host.folder / "foreign").chmod(0o755)
    said: list[str] = []
    assert apply(other_site(proxy, certificate=foreign.certificate, key=foreign.key), proxy.config, said.append)
    with pytest.raises(ssl.SSLCertVerificationError), proxy.connect():
        pass
    assert "does not have the certificate of its issuer (CN=ca of tests)" in said[0]


@pytest.mark.parametrize("step", ["_check", "_reload", "_workers"])
def test_an_interruption_at_any_step_is_completed_by_the_next_call(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before, site = state_of(proxy), other_site(proxy)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            apply(site, proxy.config, print)
    assert proxy.config.read_text(encoding="utf-8") in {before[0], configuration(site)}
    assert served(proxy) == before[1]
    assert apply(site, proxy.config, print)
    assert served(proxy) != before[1]


def test_after_an_interruption_a_refused_configuration_is_replaced_by_the_one_that_nginx_has(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state_of(proxy)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        site = other_site(proxy, https_listen=(*proxy.site.https_listen, address))
        with monkeypatch.context() as patch:
            patch.setattr(module, "_reload", interrupt)
            with pytest.raises(KeyboardInterrupt):
                apply(site, proxy.config, print)
        assert proxy.config.read_text(encoding="utf-8") != before[0]
        with pytest.raises(PermanentError, match="keeps the old configuration"):
            apply(site, proxy.config, print)
    assert_unchanged(proxy, before)


def test_of_two_calls_at_once_the_last_one_is_loaded(proxy: Proxy) -> None:
    sites = [other_site(proxy), other_site(proxy)]
    threads = [threading.Thread(target=apply, args=(site, proxy.config, print)) for site in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    content = proxy.config.read_text(encoding="utf-8")
    (loaded,) = (site for site in sites if configuration(site) == content)
    assert served(proxy) == x509.load_pem_x509_certificate(loaded.certificate.read_bytes()).serial_number
    assert not apply(loaded, proxy.config, print)


def test_a_missing_folder_or_a_full_disk_leaves_the_running_nginx_as_it_is(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, site = state_of(proxy), other_site(proxy)
    with pytest.raises(PermanentError, match=r"nginx was not configured .*No such file"):
        apply(site, Path("/nothing/nginx.conf"), print)
    with monkeypatch.context() as full:
        full.setattr(module, "fsync", lambda _: os.write(os.open("/dev/full", os.O_WRONLY), b"x"))
        with pytest.raises(PermanentError, match="No space left on device"):
            apply(site, proxy.config, print)
    assert_unchanged(proxy, before)


def test_without_a_running_nginx_the_file_is_written_for_its_start(host: Host) -> None:
    with recording() as upstream:
        site = replace(host.site(upstream.address), user=USER, acme_folder=host.folder / "new" / "acme")
        config, said = site.pid_file.with_name("nginx.conf"), list[str]()
        site.pid_file.write_text(str(os.getpid()))  # a pid that another program has got
        assert apply(site, config, said.append)
        assert said[-1].endswith("nginx is not running yet.")
        assert site.acme_folder.stat().st_mode & 0o777 == 0o755
        site.pid_file.unlink()
        with running(host, site) as proxy, proxy.client() as client:
            assert client.get("/livez").text == "ok"
