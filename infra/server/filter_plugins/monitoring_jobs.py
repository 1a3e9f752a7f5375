"""What Prometheus scrapes on the hosts of an inventory, as `Job`s of infra/prometheus/configuration.py."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

PORTS = {"node": 9100, "postgres": 9187, "redis": 9121}
TOKEN = "/etc/prometheus/api-token"  # noqa: S105 -- the path of a file


def monitoring_jobs(
    hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], api_url: str, own: str
) -> list[dict[str, Any]]:
    """Return the jobs of the Prometheus on the host `own`.

    They are: each exporter, the metrics collector, the API of each host, probes of the public address, and itself.
    """
    jobs = [_job(name, []) for name in ("okr", "api", *PORTS)]
    by_name = {job["name"]: job for job in jobs}
    by_name["api"] |= {"server_name": "okr-api", "token_file": TOKEN}
    for host in hosts:
        variables = hostvars[host]
        settings = {**variables.get("okr_settings", {}), **variables.get("okr_host_settings", {})}
        for name in variables.get("okr_exporters", []):
            by_name[name]["targets"].append(_target(f"{host}:{PORTS[name]}", host))
        if address := settings.get("OKR_METRICS_ADDRESS"):
            by_name["okr"]["targets"].append(_target(f"{host}:{address.rpartition(':')[2]}", host))
        if port := settings.get("OKR_PROXY_INTERNAL_PORT"):
            by_name["api"]["targets"].append(_target(f"{host}:{port}", host))
    itself = [
        {**_job(name, [_target(f"127.0.0.1:{port}", own)]), "scheme": "http"}
        for name, port in (("prometheus", 9090), ("alertmanager", 9093))
    ]
    probes = {**_job("probe", [_target(f"{api_url}/livez", api_url)]), "scheme": "http", "path": "/probe"}
    probe_jobs = [{**probes, "prober": "127.0.0.1:9115"}] if api_url else []
    return [job for job in jobs if job["targets"]] + itself + probe_jobs


def _job(name: str, targets: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "name": name, "targets": targets, "scheme": "https", "path": "/metrics", "token_file": "", "prober": "",
        "server_name": "",
    }  # fmt: skip


def _target(address: str, instance: str) -> dict[str, str]:
    return {"address": address, "instance": instance}


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters by name."""
        return {"monitoring_jobs": monitoring_jobs}
