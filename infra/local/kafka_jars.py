"""Download Kafka's jars from Maven Central into the user's cache, once, and check them against a lock file.

The lock file, `kafka_jars.lock`, lists each jar with its SHA-256. `python -m infra.local.kafka_jars` rewrites it.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import PermanentError, RetryableError

KAFKA = "org.apache.kafka:kafka_2.13:4.1.0"
# Kafka logs through slf4j 1.7 and includes log4j. Without this bridge between the two, its log output is lost.
LOG_BRIDGE = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
LOCK_FILE = Path(__file__).with_name("kafka_jars.lock")
READ_TIMEOUT_SECONDS = 20
PARALLEL_DOWNLOADS = 6


@dataclass(frozen=True)
class Jar:
    """One line of the lock file."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the jar's file name in the cache. It includes the group, because artifact names are not unique."""
        group, artifact, version = self.coordinate.split(":")
        return f"{group}.{artifact}-{version}.jar"


# Exposes the broker's metrics to Prometheus. It is optional, so it is not in the lock file of the class path.
AGENT = Jar(
    "io.prometheus.jmx:jmx_prometheus_javaagent:1.0.1",
    "7d61f737fd661610ccc14aea79764faa1ea94a340cbc8f0029b3d2edea3d80c1",
)


def jars() -> list[Jar]:
    """Return the jars of the lock file, in class path order."""
    lines = (line.split() for line in LOCK_FILE.read_text(encoding="ascii").splitlines() if not line.startswith("#"))
    return [Jar(coordinate, digest) for digest, coordinate in lines]


def cache_folder() -> Path:
    """Return the cache folder of the jars: `$XDG_CACHE_HOME/okr-lakehouse/jars`, by default below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "okr-lakehouse" / "jars"


def class_path() -> str:
    """Return Kafka's class path.

    Raises:
        PermanentError: jars are missing.
    """
    missing_jars = missing()
    if missing_jars:
        raise PermanentError(f"{len(missing_jars)} of Kafka's jars are missing from {cache_folder()}. Run `okr fetch`.")
    return os.pathsep.join(str(cache_folder() / jar.file_name) for jar in jars())


def missing() -> list[Jar]:
    """Return the jars that are not in the cache. A jar gets its final name once its checksum has been verified."""
    return [jar for jar in jars() if not (cache_folder() / jar.file_name).is_file()]


def agent() -> Path | None:
    """Return the path of the JMX agent, or None if it is not in the cache."""
    path = cache_folder() / AGENT.file_name
    return path if path.is_file() else None


def fetch_agent(say: Callable[[str], None]) -> None:
    """Download the JMX agent (3 MB) if it is missing. Without a network, Kafka's own metrics are missing.

    Raises:
        PermanentError: its checksum is not the expected one, or the cache is not writable.
    """
    if agent() is not None:
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(AGENT, folder)
    except RetryableError:
        say("The JMX agent could not be downloaded, so Prometheus gets no metrics of Kafka itself.")
    except OSError as error:
        raise PermanentError(
            f"The JMX agent cannot be stored in {folder}: {error}. To use another folder, set XDG_CACHE_HOME."
        ) from error


def fetch(say: Callable[[str], None]) -> None:
    """Download the missing jars. If this is interrupted, the next call continues with the remaining ones.

    Raises:
        RetryableError: the repository cannot be reached.
        PermanentError: the checksum of a jar differs from the lock file, or the cache is not writable.
    """
    wanted = missing()
    if not wanted:
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            downloads = {pool.submit(_download, jar, folder): jar for jar in wanted}
            try:
                for done, download in enumerate(as_completed(downloads), 1):
                    download.result()
                    if done % 10 == 0 or done == len(wanted):
                        say(f"Kafka's jars: {done} of {len(wanted)} downloaded")
            finally:
                pool.shutdown(cancel_futures=True)
    except OSError as error:
        raise PermanentError(
            f"Kafka's jars cannot be stored in {folder}: {error}. To use another folder, set XDG_CACHE_HOME."
        ) from error


def _download(jar: Jar, folder: Path) -> None:
    import requests
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    # Mirrors in the user's jgo settings are tried before Maven Central.
    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    # jgo writes files in place, so it downloads into a draft folder. An interrupted download is then never mistaken
    # for a jar.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as draft:
        context = MavenContext(repo_cache=Path(draft), remote_repos=repositories, timeout=READ_TIMEOUT_SECONDS)
        group, artifact, version = jar.coordinate.split(":")
        try:
            file = context.project(group, artifact).at_version(version).artifact().resolve()
        except (requests.RequestException, RuntimeError) as error:
            raise RetryableError(
                f"Kafka's jar {jar.coordinate} could not be downloaded ({type(error).__name__}). Check the network (or "
                f"the mirror in ~/.config/jgo.conf) and run the command again: {len(missing())} jars are still "
                "missing; downloaded jars are kept."
            ) from error
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != jar.sha256:
            raise PermanentError(
                f"{jar.coordinate} has the SHA-256 {found}, but {LOCK_FILE.name} says {jar.sha256}. The repository or "
                "the network changed the file. Do not use it."
            )
        file.replace(folder / jar.file_name)


def _write_lock() -> None:
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as draft:
        context = MavenContext(repo_cache=Path(draft), timeout=READ_TIMEOUT_SECONDS)
        kafka, bridge = (context.create_dependency(coordinate) for coordinate in (KAFKA, LOG_BRIDGE))
        # Only Kafka is resolved. The bridge's version constraints would change the versions of Kafka's dependencies,
        # which already include everything that the bridge needs.
        inputs, others = context.resolver.resolve([kafka])
        lines = [f"# {KAFKA} and its dependencies; written by python -m infra.local.kafka_jars"]
        for artifact in dict.fromkeys(dependency.artifact for dependency in (*inputs, *others, bridge)):
            digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
            lines.append(f"{digest} {artifact.groupId}:{artifact.artifactId}:{artifact.version}")
    LOCK_FILE.write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    _write_lock()
