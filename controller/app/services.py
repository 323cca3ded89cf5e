"""What a use case may use, by name. `controller.wiring` builds the real one; tests build their own."""

from collections.abc import Callable, MutableMapping
from typing import Protocol

from controller.app.enrollment.ports import EnrollmentNetwork
from controller.app.feed_port import Feeds
from controller.app.notify_port import Notifiers
from controller.app.ports import Clock, Discovery, Images, KubeApi, Manifests, Runner, Ssh, TalosApi
from controller.app.registry_port import Registries
from controller.store import Home, Store, StoreQueries
from roles.secrets import SecretsBundle


class Services(Protocol):
    """Each attribute is made at its first use, so that `cto status` pays for nothing it does not need."""

    @property
    def home(self) -> Home: ...
    @property
    def store(self) -> Store: ...
    @property
    def queries(self) -> StoreQueries:
        """Reads over connections of their own, as pages do."""
        ...

    @property
    def ssh_public_key(self) -> str:
        """The controller's own key as an authorized_keys line; made at first use."""
        ...

    @property
    def ssh(self) -> Ssh: ...
    @property
    def runner(self) -> Runner: ...
    @property
    def talos(self) -> TalosApi: ...
    @property
    def kube(self) -> KubeApi: ...
    @property
    def discovery(self) -> Discovery: ...
    @property
    def enrollment(self) -> EnrollmentNetwork: ...
    @property
    def images(self) -> Images: ...
    @property
    def manifests(self) -> Manifests: ...
    @property
    def feeds(self) -> Feeds: ...
    @property
    def registries(self) -> Registries: ...
    @property
    def notifiers(self) -> Notifiers: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def bundles(self) -> MutableMapping[str, SecretsBundle]:
        """Clusters' secrets that were read in this process, by cluster."""
        ...

    @property
    def clock_synchronized(self) -> Callable[[], bool]:
        """Does the kernel say that time servers keep the clock in step?"""
        ...

    @property
    def new_id(self) -> Callable[[], str]: ...
