"""The Kubernetes manifests: their schema, and what they allow every pod and every connection."""

import subprocess
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
    "CKV_K8S_8": "when metrics or guard fail, the process ends and is started again",
    "CKV_K8S_9": "nothing sends requests to Airflow's DAG processor and triggerer",
    "CKV_K8S_15": "images are named by digest, so pulling them again cannot change them",
    "CKV_K8S_38": "the scheduler creates the pods of tasks",
    "CKV2_K8S_6": "the policies of the namespace select all pods",
    "CKV_K8S_35": "secrets are files; checkov reads the name of a variable",
}

Manifest = dict[str, Any]


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
            assert container.keys() & {"livenessProbe", "readinessProbe"}, name
    (api,) = named(manifests, "StatefulSet")["okr-api"]["spec"]["template"]["spec"]["containers"]
    assert api["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_every_connection_is_forbidden_but_those_of_the_table(
    manifests: list[Manifest], pods: dict[str, Manifest]
) -> None:
    policies = {name: policy["spec"] for name, policy in named(manifests, "NetworkPolicy").items()}
    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, spec in policies.items():
        for rule in [*spec.get("ingress", ()), *spec.get("egress", ())]:
            assert rule["ports"], name
            assert rule.get("from") or rule.get("to"), name
            for peer in [*rule.get("from", ()), *rule.get("to", ())]:
                assert peer.get("ipBlock", {}).get("cidr", "") not in ("0.0.0.0/0", "192.0.2.0/32"), name
    allowed = {name: labels_of(pod) for name, pod in pods.items()}
    stores = {
        store: {name for name, labels in allowed.items() if labels.get(f"okr/{store}") == "true"}
        for store in ("postgres", "kafka", "redis")
    }
    for name, pod in pods.items():
        secrets = {
            item["path"] for volume in pod["spec"]["volumes"] for item in volume.get("secret", {}).get("items", ())
        }
        needs = {
            "postgres": any("dsn" in each or "store_uri" in each for each in secrets),
            "kafka": any("kafka" in each for each in secrets),
            "redis": any("redis" in each for each in secrets),
        }
        assert {store for store, is_needed in needs.items() if is_needed} == {
            store for store, names in stores.items() if name in names
        }, name


def labels_of(pod: Manifest) -> dict[str, str]:
    found: dict[str, str] = pod["metadata"]["labels"]
    return found


def test_services_budgets_and_policies_select_existing_pods(
    manifests: list[Manifest], pods: dict[str, Manifest]
) -> None:
    selectors = {
        **{name: each["spec"]["selector"] for name, each in named(manifests, "Service").items()},
        **{
            name: each["spec"]["selector"]["matchLabels"]
            for name, each in named(manifests, "PodDisruptionBudget").items()
        },
        **{
            name: each["spec"]["podSelector"]["matchLabels"]
            for name, each in named(manifests, "NetworkPolicy").items()
            if each["spec"]["podSelector"]
        },
    }
    for name, selector in selectors.items():
        assert any(selector.items() <= labels_of(pod).items() for pod in pods.values()), name
