"""Servers with TLS: one of each kind per session, with right and wrong certificates."""

from collections.abc import Iterator

import pytest

from tests.ops.certificates import CertificateAuthority
from tests.ops.conftest import RequirePrograms
from tests.ops.tls.kafka_broker import SecuredBroker, running_broker
from tests.ops.tls.nginx_server import running_nginx
from tests.ops.tls.postgres_server import BINARIES, SecuredPostgres, running_postgres
from tests.ops.tls.redis_server import SecuredRedis, running_redis


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """The authority that has signed the certificates of the servers."""
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """An authority that has signed none of them."""
    return CertificateAuthority(tmp_path_factory.mktemp("other"), "other")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority) -> Iterator[SecuredBroker]:
    """A broker of Kafka with the settings for servers."""
    with running_broker(tmp_path_factory.mktemp("kafka"), authority) as running:
        yield running


@pytest.fixture(scope="session")
def secured_postgres(authority: CertificateAuthority, require_programs: RequirePrograms) -> Iterator[SecuredPostgres]:
    """PostgreSQL, which accepts only encrypted connections over TCP."""
    require_programs(str(BINARIES / "postgres"))
    with running_postgres(authority) as running:
        yield running


@pytest.fixture(scope="session")
def secured_redis(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, require_programs: RequirePrograms
) -> Iterator[SecuredRedis]:
    """Redis with TLS and the users of all services."""
    require_programs("redis-server")
    with running_redis(tmp_path_factory.mktemp("redis"), authority) as running:
        yield running


@pytest.fixture(scope="session")
def nginx_ports(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, require_programs: RequirePrograms
) -> Iterator[dict[str, int]]:
    """The ports of nginx: with a right certificate, with wrong ones, and without TLS."""
    require_programs("nginx")
    with running_nginx(tmp_path_factory.mktemp("nginx"), authority) as ports:
        yield ports
