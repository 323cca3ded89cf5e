"""Which code does which step.

Importing this is the only list; a test holds it against `inventory.lifecycle`.
"""

from collections.abc import Mapping

from controller.app.steps.base import ClusterStep, NodeStep
from controller.app.steps.clean import Clean
from controller.app.steps.cluster import AwaitControlPlane, Bootstrap, FetchAccess, VerifyCluster
from controller.app.steps.configure import Configure
from controller.app.steps.image import WriteImage
from controller.app.steps.inspect import Inspect
from controller.app.steps.join import Join
from controller.app.steps.leaving import DrainNode, ForgetNode, RemoveMember
from controller.app.steps.prepare import Prepare
from controller.app.steps.reboot import Reboot
from controller.app.steps.reconfigure import Reconfigure
from controller.app.steps.recover import Recover
from controller.app.steps.replicas import RaiseReplicas
from controller.app.steps.reset import Reset
from controller.app.steps.set_boot import SetBoot
from controller.app.steps.settings import Settings
from controller.app.steps.verify import Verify

NODE_STEPS: Mapping[str, NodeStep] = {
    "inspect": Inspect(),
    "prepare": Prepare(),
    "image": WriteImage(),
    "configure": Configure(),
    "set-boot": SetBoot(),
    "reboot": Reboot(),
    "join": Join(),
    "clean": Clean(),
    "verify": Verify(),
    "reconfigure": Reconfigure(),
    "reset": Reset(),
    "settings": Settings(),
}

CLUSTER_ACTS: Mapping[str, ClusterStep] = {
    "drain-node": DrainNode(),
    "remove-member": RemoveMember(),
    "forget-node": ForgetNode(),
    "recover": Recover(),
    "raise-replicas": RaiseReplicas(),
}

CLUSTER_STEPS: Mapping[str, ClusterStep] = {
    "await-control-plane": AwaitControlPlane(),
    "bootstrap": Bootstrap(),
    "fetch-access": FetchAccess(),
    "verify-cluster": VerifyCluster(),
}
