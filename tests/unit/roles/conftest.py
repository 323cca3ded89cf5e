"""Machines, nodes and secrets that the tests of `roles` share. Values only; the bundle is read once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from facts.machine_model import Hardware, HardwareCpu, HardwareDisk, HardwareNic
from inventory.fleet import Cluster, Image, Node
from roles import secrets
from roles.secrets import SecretsBundle

FOLDER = Path(__file__).parents[2] / "fixtures" / "roles"
GIB = 1024**3


@cache
def _bundle() -> SecretsBundle:
    return secrets.from_yaml((FOLDER / "bundle.yaml").read_text())


@pytest.fixture
def role_fixtures() -> Path:
    return FOLDER


@pytest.fixture
def bundle() -> SecretsBundle:
    return _bundle()


@pytest.fixture
def make_disk() -> Callable[..., HardwareDisk]:
    def make(name: str = "nvme0n1", kind: str = "nvme", size: int = 960 * GIB, **more: Any) -> HardwareDisk:
        stable = more.pop("stable_path", f"/dev/disk/by-id/{name}-id")
        return HardwareDisk(name=name, path=f"/dev/{name}", stable_path=stable, size=size, kind=kind, **more)

    return make


@pytest.fixture
def make_hardware(make_disk: Callable[..., HardwareDisk]) -> Callable[..., Hardware]:
    def make(*disks: HardwareDisk, **more: Any) -> Hardware:
        usual: dict[str, Any] = {
            "arch": "amd64",
            "cpu": HardwareCpu(model="test", sockets=1, cores=4, threads=8),
            "memory": 16 * GIB,
            "disks": disks or (make_disk(),),
            "nics": (HardwareNic("eth0", "52:54:00:00:00:01", link=True),),
            "firmware": "uefi",
            "secure_boot": False,
        }
        return Hardware(**(usual | more))

    return make


@pytest.fixture
def make_node() -> Callable[..., Node]:
    def make(role: str = "controlplane", **more: Any) -> Node:
        usual: dict[str, Any] = {"address": "10.0.0.5", "image": Image("1.13.9")}
        return Node(name="kn-1", site="kn", cluster="kn", role=role, **(usual | more))

    return make


@pytest.fixture
def make_cluster() -> Callable[..., Cluster]:
    def make(**more: Any) -> Cluster:
        usual: dict[str, Any] = {
            "endpoint": "https://10.0.0.5:6443",
            "kubernetes": "1.36.3",
            "nodes": ("kn-1",),
        }
        return Cluster(name="kn", site="kn", **(usual | more))

    return make
