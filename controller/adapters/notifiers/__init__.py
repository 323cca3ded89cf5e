"""The ways of telling people, one file each. A new one is found by lying here: it has a `NOTIFIER`."""

import pkgutil
from importlib import import_module

from controller.app.notify_port import Notifier
from inventory.errors import OperatorError


class Registry:
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))

    def get(self, kind: str) -> Notifier:
        if kind not in self.kinds():
            raise OperatorError(
                f"there is no notifier {kind!r}", fix=f"name one of {', '.join(self.kinds())}"
            )
        found: Notifier = import_module(f"{__name__}.{kind}").NOTIFIER
        return found
