"""Renders our kustomizations without kustomize, which no package index we rely on carries.

It knows `resources`, `namespace` and JSON patches, and refuses anything else rather than guess;
test_manifests.py compares it with `kubectl kustomize` wherever that is installed.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
KNOWN = {"apiVersion", "kind", "namespace", "resources", "patches"}
WITHOUT_NAMESPACE = {"Namespace", "PersistentVolume", "StorageClass", "ClusterRole"}


def render(folder: Path) -> list[Manifest]:
    """What `kubectl apply -k folder` would send."""
    asked: Manifest = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := asked.keys() - KNOWN:
        raise NotImplementedError(
            f"{folder.name} uses {unknown}; teach tests/deployment/rendering.py"
        )
    found = [manifest for name in asked["resources"] for manifest in _read(folder / name)]
    for patch in asked.get("patches", []):
        targets = [manifest for manifest in found if _is(manifest, patch["target"])]
        assert targets, f"{folder.name}: no resource is {patch['target']}"
        for manifest in targets:
            for step in yaml.safe_load(patch["patch"]):
                _apply(manifest, step)
    for manifest in found:
        if manifest["kind"] not in WITHOUT_NAMESPACE:
            manifest["metadata"]["namespace"] = asked["namespace"]
    return found


def _read(path: Path) -> list[Manifest]:
    if path.is_dir():
        return render(path)
    return [manifest for manifest in yaml.safe_load_all(path.read_text()) if manifest]


def _is(manifest: Manifest, target: dict[str, str]) -> bool:
    assert target.keys() == {"kind", "name"}, f"target by kind and name, not {target}"
    return target == {"kind": manifest["kind"], "name": manifest["metadata"]["name"]}


def _apply(manifest: Manifest, step: Manifest) -> None:
    """One JSON patch operation that replaces what is there."""
    if step["op"] != "replace":
        raise NotImplementedError(f"patch operation {step['op']!r}")
    *path, last = step["path"].removeprefix("/").split("/")
    place: Any = manifest
    for part in path:
        place = place[int(part) if isinstance(place, list) else part]
    key = int(last) if isinstance(place, list) else last
    place[key]  # replace demands that it is there
    place[key] = copy.deepcopy(step["value"])


@dataclass(frozen=True)
class Pod:
    """A pod as some workload makes it."""

    kind: str
    name: str
    labels: dict[str, str]
    spec: Manifest
    claim_templates: tuple[str, ...] = ()

    @property
    def containers(self) -> list[Manifest]:
        """All of them, those that run first included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def pods(manifests: list[Manifest]) -> list[Pod]:
    """The pods that the workloads would make."""
    return [
        Pod(
            manifest["kind"],
            manifest["metadata"]["name"],
            manifest["spec"]["template"]["metadata"]["labels"],
            manifest["spec"]["template"]["spec"],
            tuple(
                claim["metadata"]["name"]
                for claim in manifest["spec"].get("volumeClaimTemplates", [])
            ),
        )
        for manifest in manifests
        if "template" in manifest.get("spec", {})
    ]


def of_kind(manifests: list[Manifest], *kinds: str) -> Iterator[Manifest]:
    """The manifests of these kinds."""
    return (manifest for manifest in manifests if manifest["kind"] in kinds)


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one manifest of that kind and name."""
    (found,) = (m for m in of_kind(manifests, kind) if m["metadata"]["name"] == name)
    return found
