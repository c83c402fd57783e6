"""The manifests: valid, without rights, and every name in them is the name of something."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import ServiceSettings
from tests.deployment import dockerfile, truth
from tests.deployment.dockerfile import TARGETS
from tests.deployment.rendering import K8S, ROOT, Manifest, Pod, named, of_kind, pods, render
from training.settings import TrainingSettings

FOLDERS = {"base": K8S / "base", "cpu-demo": K8S / "overlays" / "cpu-demo"}
VERSIONS = ("1.33", "1.37")
README = (K8S / "README.md").read_text()
COMPONENT = "app.kubernetes.io/component"
ALLOWED_VOLUMES = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "secret"}
DUMMIES = {
    "database-url": "postgresql://user:password@host:5432/name",
    "engine-api-key": "a key",
    "database-password": "password",
}


@pytest.fixture(scope="module", params=sorted(FOLDERS))
def folder(request: pytest.FixtureRequest) -> Path:
    return FOLDERS[request.param]


@pytest.fixture(scope="module")
def manifests(folder: Path) -> list[Manifest]:
    return render(folder)


def ours(manifests: list[Manifest]) -> list[tuple[Pod, Manifest]]:
    """The containers that run an image of ours."""
    return [
        (pod, container)
        for pod in pods(manifests)
        for container in pod.containers
        if container["image"].startswith("understudy-")
    ]


def target_of(container: Manifest) -> str:
    """The Dockerfile's target behind an image of ours."""
    name: str = container["image"].partition(":")[0]
    return name.removeprefix("understudy-")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_validates_strictly(manifests: list[Manifest], version: str) -> None:
    for manifest in manifests:
        assert kubernetes_validate.validate(manifest, version, strict=True) == version


def test_every_file_is_rendered_and_no_name_is_used_twice() -> None:
    names = [(m["kind"], m["metadata"]["name"]) for m in render(FOLDERS["cpu-demo"])]
    assert len(names) == len(set(names))
    written = {path for path in K8S.rglob("*.yaml") if path.name != "kustomization.yaml"}
    listed = {
        place / name
        for place in FOLDERS.values()
        for name in yaml.safe_load((place / "kustomization.yaml").read_text())["resources"]
        if name.endswith(".yaml")
    }
    assert written == listed


def test_kubectl_renders_the_same(folder: Path, manifests: list[Manifest], tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed here")
    rendered = subprocess.run(
        [kubectl, "kustomize", str(folder)],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path)},
    )
    assert rendered.returncode == 0, rendered.stderr

    def by_name(found: list[Manifest]) -> dict[str, Manifest]:
        return {f"{m['kind']}/{m['metadata']['name']}": m for m in found}

    assert by_name(list(yaml.safe_load_all(rendered.stdout))) == by_name(manifests)


def test_every_selector_finds_a_pod(manifests: list[Manifest]) -> None:
    for manifest in of_kind(manifests, "Deployment", "StatefulSet"):
        template = manifest["spec"]["template"]["metadata"]["labels"]
        assert manifest["spec"]["selector"]["matchLabels"].items() <= template.items()
    selectors = [(m, m["spec"]["selector"]) for m in of_kind(manifests, "Service")]
    for policy in of_kind(manifests, "NetworkPolicy"):
        peers = [
            peer for rule in policy["spec"].get("ingress", []) for peer in rule.get("from", [])
        ]
        for peer in [policy["spec"], *peers]:
            selectors.append((policy, peer["podSelector"].get("matchLabels", {})))
    for manifest, selector in selectors:
        found = [pod for pod in pods(manifests) if selector.items() <= pod.labels.items()]
        assert found, f"{manifest['kind']} {manifest['metadata']['name']}: {selector}"
        if manifest["kind"] == "Service":
            assert len(found) == 1


def test_every_port_that_is_named_is_open(manifests: list[Manifest]) -> None:
    for service in of_kind(manifests, "Service"):
        (pod,) = (
            p for p in pods(manifests) if service["spec"]["selector"].items() <= p.labels.items()
        )
        open_ports = {key for port in _ports(pod.containers) for key in port}
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in open_ports
    for pod in pods(manifests):
        for container in pod.containers:
            open_ports = {key for port in _ports([container]) for key in port}
            for probe in _probes(container):
                if "httpGet" in probe:
                    assert probe["httpGet"]["port"] in open_ports


def _ports(containers: list[Manifest]) -> list[tuple[str, int]]:
    return [
        (port["name"], port["containerPort"])
        for container in containers
        for port in container.get("ports", [])
    ]


def _probes(container: Manifest) -> list[Manifest]:
    return [value for name, value in container.items() if name.endswith("Probe")]


def test_containers_open_the_port_their_image_listens_on(manifests: list[Manifest]) -> None:
    for _, container in ours(manifests):
        exposed = [
            rest for word, rest in dockerfile.history(target_of(container)) if word == "EXPOSE"
        ]
        opened = [str(number) for _, number in _ports([container])]
        assert opened == (exposed if container["name"] == target_of(container) else [])


def test_every_environment_name_is_a_setting_or_explained(manifests: list[Manifest]) -> None:
    known = truth.setting_names()
    config = named(manifests, "ConfigMap", "understudy-settings")["data"]
    assert config.keys() <= known
    for pod in pods(manifests):
        for container in pod.containers:
            names = {entry["name"] for entry in container.get("env", [])}
            explained = {name for name in names - known if f"`{name}`" in README}
            assert names <= known | explained, f"{pod.name}: {names - known - explained}"


def test_every_value_is_one_the_settings_accept(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TOML", str(tmp_path / "none.toml"))
    for _, container in ours(manifests):
        with monkeypatch.context() as patched:
            for name, value in _environment(manifests, container).items():
                patched.setenv(name, value)
            for settings in truth.CLASSES:
                settings()


def _environment(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    found = dockerfile.environment(target_of(container))
    del found["PATH"]
    for source in container.get("envFrom", []):
        found |= named(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    for entry in container.get("env", []):
        found[entry["name"]] = (
            DUMMIES[entry["valueFrom"]["secretKeyRef"]["key"]]
            if "valueFrom" in entry
            else entry["value"]
        )
    return found


def test_every_reference_to_settings_and_secrets_leads_somewhere(manifests: list[Manifest]) -> None:
    assert not list(of_kind(manifests, "Secret"))
    maps = {m["metadata"]["name"]: m["data"] for m in of_kind(manifests, "ConfigMap")}
    for pod in pods(manifests):
        for container in pod.containers:
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in maps
            for entry in container.get("env", []):
                if "valueFrom" not in entry:
                    assert not re.search("KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL", entry["name"])
                    continue
                ((kind, reference),) = entry["valueFrom"].items()
                assert kind == "secretKeyRef"
                assert reference["name"] == "understudy-secrets"
                assert f"| `{reference['key']}` |" in README


def test_only_those_who_need_it_can_read_the_database(manifests: list[Manifest]) -> None:
    readers = {
        pod.name
        for pod, container in ours(manifests)
        for entry in container["env"]
        if entry["name"] == "FEEDBACK_DATABASE_URL"
    }
    assert readers == {"service", "loop", "migrate"}


def test_every_command_is_one_of_ours(manifests: list[Manifest]) -> None:
    found = ours(manifests)
    assert {target_of(container) for _, container in found} == set(TARGETS)
    for pod, container in found:
        assert "command" not in container  # the image's entry point stays
        assert truth.is_command(container["args"]), f"{pod.name}: {container['args']}"


def test_every_command_in_the_docs_is_one_of_ours() -> None:
    text = (ROOT / "docs/deploy.md").read_text()
    written = re.findall(r"-- understudy ((?:[a-z-]+ ?)+)", text)
    assert len(written) >= 2
    assert [words for words in written if not truth.is_command(words.split())] == []


def test_images_have_a_version_and_agree_with_the_dockerfile(manifests: list[Manifest]) -> None:
    for pod in pods(manifests):
        for container in pod.containers:
            _, _, tag = container["image"].rpartition("/")[2].partition(":")
            assert re.match(r"\d+\.\d+", tag), f"{pod.name}: {container['image']}"
    for pod, container in ours(manifests):
        target = target_of(container)
        assert container["image"].endswith(f":{dockerfile.last(target, 'ARG').partition('=')[2]}")
        user, group = dockerfile.last(target, "USER").split(":")
        security = pod.spec["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (int(user), int(group))


def test_every_mount_has_a_volume_and_every_volume_a_mount(manifests: list[Manifest]) -> None:
    claims = {m["metadata"]["name"] for m in of_kind(manifests, "PersistentVolumeClaim")}
    for pod in pods(manifests):
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        mounted = {m["name"] for c in pod.containers for m in c.get("volumeMounts", [])}
        assert mounted == volumes.keys() | set(pod.claim_templates)
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
            if "emptyDir" in volume:
                assert "sizeLimit" in volume["emptyDir"]


def test_adapters_are_where_the_settings_look_and_only_the_loop_writes(
    manifests: list[Manifest],
) -> None:
    mounts: dict[str, dict[str, Any]] = {
        pod.name: {m["mountPath"]: m for m in container["volumeMounts"] if m["name"] == "data"}
        for pod, container in ours(manifests)
    }
    var_dir = dockerfile.environment("loop")["FEEDBACK_VAR_DIR"]
    assert mounts["loop"] == {var_dir: {"name": "data", "mountPath": var_dir}}
    for reader in ("service", "engine"):
        (mount,) = mounts[reader].values()
        assert mount["mountPath"] == f"{var_dir}/adapters"
        assert mount["subPath"] == "adapters"
        assert mount["readOnly"] is True
    assert mounts["migrate"] == {}


def test_the_engine_is_called_by_its_name(manifests: list[Manifest]) -> None:
    url = named(manifests, "ConfigMap", "understudy-settings")["data"]["SERVICE_ENGINE_URL"]
    (port,) = named(manifests, "Service", "engine")["spec"]["ports"]
    assert url == f"http://engine:{port['port']}"
    assert named(manifests, "Deployment", "engine")["spec"]["strategy"] == {"type": "Recreate"}
    assert named(manifests, "Deployment", "engine")["spec"]["replicas"] == 1
    assert named(manifests, "Deployment", "loop")["spec"]["replicas"] == 1


def test_probes_ask_what_is_answered(manifests: list[Manifest]) -> None:
    paths: dict[str, dict[str, str]] = {
        pod.name: {
            name: probe["httpGet"]["path"]
            for name, probe in container.items()
            if name.endswith("Probe")
        }
        for pod, container in ours(manifests)
    }
    for part in ("service", "engine"):
        assert set(paths[part].values()) <= truth.answers_get(part)
        assert paths[part].keys() == {"startupProbe", "livenessProbe", "readinessProbe"}
        assert paths[part]["livenessProbe"] == "/health"
    assert paths["service"]["readinessProbe"] == "/ready"


def test_pods_are_given_the_time_the_settings_promise(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TOML", str(tmp_path / "none.toml"))
    for name, value in named(manifests, "ConfigMap", "understudy-settings")["data"].items():
        monkeypatch.setenv(name, value)
    engine = named(manifests, "Deployment", "engine")["spec"]["template"]["spec"]["containers"][0]
    startup = engine["startupProbe"]
    allowed_seconds = startup["periodSeconds"] * startup["failureThreshold"]
    assert allowed_seconds >= ServiceSettings().engine_start_timeout_seconds
    loop = named(manifests, "Deployment", "loop")["spec"]["template"]["spec"]
    grace_seconds = loop["terminationGracePeriodSeconds"]
    assert grace_seconds > TrainingSettings().stop_grace_seconds


def test_every_container_says_what_it_needs(manifests: list[Manifest]) -> None:
    for pod in pods(manifests):
        for container in pod.containers:
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_pods_meet_the_restricted_standard_and_a_little_more(manifests: list[Manifest]) -> None:
    for pod in pods(manifests):
        spec = pod.spec
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= ALLOWED_VOLUMES
        for container in pod.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port for port in container.get("ports", []))


def test_the_namespace_enforces_the_restricted_standard(manifests: list[Manifest]) -> None:
    labels = named(manifests, "Namespace", "understudy")["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
    for manifest in manifests:
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == "understudy"


def admitted(manifests: list[Manifest], to: Pod, port: int, caller: dict[str, str]) -> bool:
    """Whether the policies let a pod of our namespace with these labels call that port."""
    selecting = [
        policy["spec"]
        for policy in of_kind(manifests, "NetworkPolicy")
        if policy["spec"]["podSelector"].get("matchLabels", {}).items() <= to.labels.items()
    ]
    rules = [rule for spec in selecting for rule in spec.get("ingress", [])]
    return not selecting or any(_lets_in(rule, port, caller) for rule in rules)


def _lets_in(rule: Manifest, port: int, caller: dict[str, str]) -> bool:
    if "ports" in rule and port not in [entry["port"] for entry in rule["ports"]]:
        return False
    if "from" not in rule:
        return True
    for peer in rule["from"]:
        assert peer.keys() == {"podSelector"}, f"{peer} may let in other namespaces"
        assert peer["podSelector"].keys() == {"matchLabels"}
        if peer["podSelector"]["matchLabels"].items() <= caller.items():
            return True
    return False


def test_exactly_service_and_loop_reach_the_engine(manifests: list[Manifest]) -> None:
    every = {pod.name: pod for pod in pods(manifests)}
    callers = {name: pod.labels for name, pod in every.items()}
    callers |= {
        "stranger": {},
        "another app's service": {COMPONENT: "service"},
        "another part": {"app.kubernetes.io/name": "understudy", COMPONENT: "other"},
    }
    let_in = {
        name
        for name, labels in callers.items()
        if admitted(manifests, every["engine"], 8001, labels)
    }
    assert let_in == {"service", "loop"}
    assert not [name for name in callers if admitted(manifests, every["engine"], 22, callers[name])]
    assert not [name for name in callers if admitted(manifests, every["loop"], 8080, callers[name])]
    assert admitted(manifests, every["service"], 8080, {})
    if "postgres" in every:
        let_in = {
            n
            for n, labels in callers.items()
            if admitted(manifests, every["postgres"], 5432, labels)
        }
        assert let_in == {"service", "loop", "migrate"}


def test_policies_name_the_ports_that_are_open(manifests: list[Manifest]) -> None:
    for policy in of_kind(manifests, "NetworkPolicy"):
        selector = policy["spec"]["podSelector"].get("matchLabels")
        if selector is None:
            assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
            continue
        (pod,) = (pod for pod in pods(manifests) if selector.items() <= pod.labels.items())
        named_ports = {p["port"] for rule in policy["spec"]["ingress"] for p in rule["ports"]}
        assert named_ports == {number for _, number in _ports(pod.containers)}
    engine = named(manifests, "NetworkPolicy", "engine")["spec"]
    assert engine["policyTypes"] == ["Ingress", "Egress"]
    assert engine["egress"] == []


def test_the_patch_example_of_the_docs_is_yaml_and_json_patches() -> None:
    (written,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
    asked = yaml.safe_load(written)
    assert asked["resources"] == ["../../base"]
    steps = yaml.safe_load(asked["patches"][0]["patch"])
    assert json.loads(json.dumps(steps))[0]["op"] == "add"
