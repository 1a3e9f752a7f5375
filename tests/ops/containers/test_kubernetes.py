"""The Kubernetes manifests: their schema, and what they allow every pod and every connection."""

import os
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.containers import new_secrets
from infra.local.executables import ROOT
from tests.ops.conftest import RequirePrograms
from tests.ops.containers.conftest import Checker

FOLDER = ROOT / "infra" / "containers" / "kubernetes"
VERSION = "1.34"
WORKLOADS = {"Deployment", "StatefulSet", "Job"}
# Policies of checkov that do not apply, each with its reason.
NOT_APPLICABLE = {
    "CKV_DOCKER_7": "the base is an argument, and infra/containers/build refuses one without a digest",
    "CKV_K8S_9": "nothing sends requests to Airflow's DAG processor and triggerer",
    "CKV_K8S_15": "images are named by digest, so pulling them again cannot change them",
    "CKV_K8S_38": "the scheduler creates the pods of tasks",
    "CKV2_K8S_6": "the policies of the namespace select all pods",
    "CKV_K8S_35": "secrets are files; checkov reads the name of a variable",
}

Manifest = dict[str, Any]

WITHOUT_REQUESTS = {"okr-airflow-dag-processor", "okr-airflow-triggerer"}
# The words of the table in docs/containers.md.
MEMBERS = {
    "ingress controller": {"ingress-nginx"},
    "namespace `monitoring`": {"monitoring"},
    "API": {"okr-api"},
    "landing": {"okr-land"},
    "state": {"okr-state"},
    "metrics": {"okr-metrics"},
    "guard": {"okr-guard"},
    "scheduler": {"okr-airflow-scheduler"},
    "triggerer": {"okr-airflow-triggerer"},
    "Airflow's API server": {"okr-airflow-api-server"},
    "Airflow": {f"okr-airflow-{name}" for name in ("api-server", "scheduler", "dag-processor", "triggerer")},
    "tasks": {"okr-task"},
    "MLflow": {"okr-mlflow"},
    "`okr-migrate`": {"okr-migrate"},
}
OUTSIDE = {
    "to-postgres": "PostgreSQL's subnet",
    "to-kafka": "Kafka's subnet",
    "to-redis": "Redis's subnet",
    "to-kubernetes-api": "the Kubernetes API",
    "to-dns": "the cluster's DNS",
}


@pytest.fixture(scope="module")
def both(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The manifests of both environments, as kustomize writes them."""
    require_programs("kubectl")
    folder, files = tmp_path_factory.mktemp("rendered"), {}
    for name in ("staging", "production"):
        command = ["kubectl", "kustomize", FOLDER / "overlays" / name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        files[name] = folder / f"{name}.yaml"
        files[name].write_text(result.stdout, encoding="utf-8")
    return files


@pytest.fixture(scope="module", params=["staging", "production"])
def rendered(request: pytest.FixtureRequest, both: dict[str, Path]) -> Path:
    return both[request.param]


@pytest.fixture(scope="module")
def manifests(rendered: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(rendered.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pods of all workloads by name, and the pod of a task if the scheduler starts pods."""
    found = {each["metadata"]["name"]: each["spec"]["template"] for each in manifests if each["kind"] in WORKLOADS}
    for each in manifests:
        if template := (each.get("data") or {}).get("pod-template.yaml"):
            found["okr-task"] = yaml.safe_load(template)
    return found


def named(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def test_the_schema_of_kubernetes_accepts_every_manifest(
    checker: Checker, rendered: Path, pods: Any, tmp_path: Path
) -> None:
    files = [rendered]
    if "okr-task" in pods:
        files.append(tmp_path / "pod.yaml")
        files[-1].write_text(yaml.safe_dump(pods["okr-task"]), encoding="utf-8")
    result = checker("kubernetes-validate", "--strict", "--kubernetes-version", VERSION, *files)
    assert result.returncode == 0, result.stdout + result.stderr
    wrong = tmp_path / "wrong.yaml"
    text = rendered.read_text(encoding="utf-8")
    text = text.replace("readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true")
    wrong.write_text(text, encoding="utf-8")
    result = checker("kubernetes-validate", "--strict", "--kubernetes-version", VERSION, wrong)
    assert result.returncode == 1
    assert "readOnlyRootFileSystem" in result.stdout + result.stderr


def test_checkov_finds_nothing(checker: Checker, both: dict[str, Path]) -> None:
    skipped = [f"--skip-check={check}" for check in NOT_APPLICABLE]
    files = [word for file in (*both.values(), FOLDER.parent / "Dockerfile") for word in ("--file", file)]
    options = ["--skip-download", "--quiet", "--compact", "--framework", "kubernetes", "dockerfile"]
    result = checker("checkov", *options, *skipped, *files)
    assert result.returncode == 0, result.stdout[-4000:]
    assert "Passed checks: " in result.stdout


def test_every_pod_is_restricted(pods: dict[str, Manifest]) -> None:
    assert len(pods) >= 10
    for name, pod in pods.items():
        spec = pod["spec"]
        (container,) = spec["containers"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] == context["fsGroup"] == 10001, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }, name  # fmt: skip
        assert container["resources"].keys() == {"requests", "limits"}, name
        # A service's address in a variable such as OKR_API_PORT would be read as a setting.
        assert spec["enableServiceLinks"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name


def test_only_the_scheduler_of_pods_has_a_token(manifests: list[Manifest], pods: dict[str, Manifest]) -> None:
    with_token = {name for name, pod in pods.items() if pod["spec"]["automountServiceAccountToken"]}
    assert with_token == ({"okr-airflow-scheduler"} if "okr-task" in pods else set())
    accounts = named(manifests, "ServiceAccount")
    assert not [name for name, account in accounts.items() if account["automountServiceAccountToken"]]
    assert {pod["spec"]["serviceAccountName"] for pod in pods.values()} <= accounts.keys()


def test_every_image_is_named_by_its_digest(pods: dict[str, Manifest]) -> None:
    for name, pod in pods.items():
        (container,) = pod["spec"]["containers"]
        assert "@sha256:" in container["image"], name


def test_no_manifest_contains_a_secret_and_every_pod_gets_only_those_that_it_names(
    manifests: list[Manifest], pods: dict[str, Manifest], tmp_path: Path
) -> None:
    assert not named(manifests, "Secret")
    new_secrets.main([str(tmp_path)])
    generated = {file.name for file in tmp_path.iterdir()}
    for name, pod in pods.items():
        spec = pod["spec"]
        (container,) = spec["containers"]
        items = next(volume["secret"]["items"] for volume in spec["volumes"] if volume["name"] == "secrets")
        mounted = {item["path"] for item in items}
        assert mounted <= generated, name
        files = {each["name"]: each.get("value", "") for each in container.get("env", ())}
        named_files = {Path(value).name for variable, value in files.items() if variable.endswith("_FILE")}
        assert named_files - {"ca.crt", "pod-template.yaml"} <= mounted, name
        secret = [variable for variable in files if variable.endswith(("PASSWORD", "SECRET", "DSN", "TOKEN"))]
        assert not secret, name


def test_every_lasting_pod_is_probed(manifests: list[Manifest]) -> None:
    for kind in ("Deployment", "StatefulSet"):
        for name, manifest in named(manifests, kind).items():
            (container,) = manifest["spec"]["template"]["spec"]["containers"]
            assert "livenessProbe" in container, name
            assert ("readinessProbe" in container) != (name in WITHOUT_REQUESTS), name
    (api,) = named(manifests, "StatefulSet")["okr-api"]["spec"]["template"]["spec"]["containers"]
    assert api["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_a_roll_back_replaces_pods_that_never_got_ready(manifests: list[Manifest]) -> None:
    """With OrderedReady it does not; see https://github.com/kubernetes/kubernetes/issues/67250."""
    sets = named(manifests, "StatefulSet")
    assert sets.keys() == {"okr-api", "okr-metrics"}
    assert {each["spec"].get("podManagementPolicy") for each in sets.values()} == {"Parallel"}


def test_pods_that_cannot_get_ready_do_not_block_the_draining_of_a_node(manifests: list[Manifest]) -> None:
    """See https://github.com/kubernetes/kubernetes/issues/72320."""
    budgets = named(manifests, "PodDisruptionBudget")
    assert budgets.keys() == {"okr-api", "okr-land"}
    assert {each["spec"].get("unhealthyPodEvictionPolicy") for each in budgets.values()} == {"AlwaysAllow"}


def test_applying_the_manifests_keeps_the_autoscalers_replicas(manifests: list[Manifest]) -> None:
    """See https://github.com/kubernetes/kubernetes/issues/25238."""
    for each in named(manifests, "HorizontalPodAutoscaler").values():
        target = each["spec"]["scaleTargetRef"]
        assert "replicas" not in named(manifests, target["kind"])[target["name"]]["spec"]


def test_the_component_contract_only_changes_the_command_of_the_job(
    require_programs: RequirePrograms, manifests: list[Manifest], rendered: Path, tmp_path: Path
) -> None:
    require_programs("kubectl")
    parts = {"resources": FOLDER / "overlays" / rendered.stem, "components": FOLDER / "components" / "contract"}
    for kind, folder in parts.items():
        parts[kind] = Path(os.path.relpath(folder, tmp_path))
    text = yaml.safe_dump({kind: [str(folder)] for kind, folder in parts.items()})
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    result = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    contracting = list(yaml.safe_load_all(result.stdout))
    (container,) = named(contracting, "Job")["okr-migrate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["okr", "migrate", "--online", "--contract"]
    (before,) = named(manifests, "Job")["okr-migrate"]["spec"]["template"]["spec"]["containers"]
    container["command"] = before["command"]
    assert contracting == manifests


def test_every_connection_is_forbidden_but_those_of_the_table(
    manifests: list[Manifest], pods: dict[str, Manifest]
) -> None:
    policies = {name: policy["spec"] for name, policy in named(manifests, "NetworkPolicy").items()}
    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    sent, received = allowed_flows(policies, pods)
    between_pods = {flow for flow in sent if flow[1] in pods}
    assert between_pods == {flow for flow in received if flow[0] in pods}
    assert sent | received == documented_flows(pods)
    # A pod has the rights that its secrets need, and no other.
    for name, pod in pods.items():
        volumes = pod["spec"]["volumes"]
        secrets = {item["path"] for each in volumes for item in each.get("secret", {}).get("items", ())}
        needed = {
            "PostgreSQL's subnet": any("dsn" in each or "store_uri" in each for each in secrets),
            "Kafka's subnet": any("kafka" in each for each in secrets),
            "Redis's subnet": any("redis" in each for each in secrets),
        }
        assert {store for source, store, _ in sent if source == name} & needed.keys() == {
            store for store, is_needed in needed.items() if is_needed
        }, name


Flow = tuple[str, str, int]  # source, destination, port


def allowed_flows(policies: dict[str, Manifest], pods: dict[str, Manifest]) -> tuple[set[Flow], set[Flow]]:
    """Return what pods may send, and what they may receive."""
    sent, received = set(), set()
    for name, spec in policies.items():
        assert spec["policyTypes"] == [kind.title() for kind in ("ingress", "egress") if kind in spec], name
        own = selected(spec["podSelector"], pods)
        for rule in spec.get("egress", ()):
            for pod, peer, port in product(own, rule["to"], rule["ports"]):
                sent |= {(pod, other, port["port"]) for other in peers(name, peer, pods)}
        for rule in spec.get("ingress", ()):
            for pod, peer, port in product(own, rule["from"], rule["ports"]):
                received |= {(other, pod, port["port"]) for other in peers(name, peer, pods)}
    return sent, received


def selected(selector: Manifest, pods: dict[str, Manifest]) -> set[str]:
    labels = selector.get("matchLabels", {})
    assert selector.keys() <= {"matchLabels"}
    return {name for name, pod in pods.items() if labels.items() <= labels_of(pod).items()}


def peers(policy: str, peer: Manifest, pods: dict[str, Manifest]) -> set[str]:
    """Return the names of pods, or the name that the table has for something outside the namespace."""
    if "ipBlock" in peer:
        assert peer["ipBlock"]["cidr"] not in ("0.0.0.0/0", "192.0.2.0/32"), policy
        return {OUTSIDE[policy]}
    if "namespaceSelector" not in peer:
        return selected(peer["podSelector"], pods)
    if "podSelector" in peer:
        assert peer["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}, policy
        return {OUTSIDE[policy]}
    return {peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]}


def documented_flows(pods: dict[str, Manifest]) -> set[Flow]:
    """Return the flows of the table in docs/containers.md between pods that this environment has."""
    text = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    table = text.partition("Every connection is forbidden except these:")[2].strip().split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    executor = {"okr-airflow-scheduler"} if "okr-task" in pods else set()
    members = MEMBERS | {"all": set(pods), "scheduler of the component `kubernetes-executor`": executor}
    found = set()
    for sources, destinations, ports in rows:
        for source, destination, port in product(sources.split(", "), destinations.split(", "), ports.split(", ")):
            for pair in product(members[source], members.get(destination, {destination})):
                found.add((*pair, int(port)))
    return {flow for flow in found if not {each for each in flow[:2] if str(each).startswith("okr-")} - pods.keys()}


def labels_of(pod: Manifest) -> dict[str, str]:
    found: dict[str, str] = pod["metadata"]["labels"]
    return found


def test_services_budgets_and_policies_select_existing_pods(
    manifests: list[Manifest], pods: dict[str, Manifest]
) -> None:
    services = named(manifests, "Service")
    selectors = [
        *(({"matchLabels": each["spec"]["selector"]}, name) for name, each in services.items()),
        *((each["spec"]["selector"], name) for name, each in named(manifests, "PodDisruptionBudget").items()),
        *((each["spec"]["podSelector"], name) for name, each in named(manifests, "NetworkPolicy").items()),
    ]
    assert len(selectors) >= 15
    for selector, name in selectors:
        assert selected(selector, pods), name
    for name, service in services.items():
        for pod, port in product(
            selected({"matchLabels": service["spec"]["selector"]}, pods), service["spec"].get("ports", ())
        ):
            (container,) = pods[pod]["spec"]["containers"]
            assert port["targetPort"] in {each["name"] for each in container["ports"]}, name
    (ingress,) = named(manifests, "Ingress").values()
    (backend,) = [path["backend"]["service"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]["spec"]["ports"]}
