"""Any object of the Kubernetes API by its path: read, patched, deleted. Knows no kind and decides nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.adapters.kube_access import refused
from controller.adapters.kube_work import KubeWork


class KubeObjects(KubeWork):
    async def get_object(
        self, kubeconfig: bytes, path: str, *, host: str = "", port: int = 0
    ) -> Mapping[str, Any] | None:
        where, status, answer = await self._request(kubeconfig, "GET", path, None, host, port)
        if status == 404:
            return None
        if status >= 400:
            raise refused(status, str(answer.get("message", "")), where)
        return answer

    async def list_objects(
        self, kubeconfig: bytes, path: str, *, host: str = "", port: int = 0
    ) -> Sequence[Mapping[str, Any]] | None:
        found = await self.get_object(kubeconfig, path, host=host, port=port)
        return None if found is None else tuple(found.get("items") or ())

    async def create_object(
        self, kubeconfig: bytes, path: str, body: Mapping[str, Any], *, host: str = "", port: int = 0
    ) -> None:
        where, status, answer = await self._request(kubeconfig, "POST", path, body, host, port)
        if status >= 400 and status != 409:
            raise refused(status, str(answer.get("message", "")), where)

    async def patch_object(
        self, kubeconfig: bytes, path: str, body: Mapping[str, Any], *, host: str = "", port: int = 0
    ) -> None:
        await self._asked(kubeconfig, "PATCH", path, body, host, port)

    async def delete_object(self, kubeconfig: bytes, path: str, *, host: str = "", port: int = 0) -> None:
        where, status, answer = await self._request(kubeconfig, "DELETE", path, None, host, port)
        if status >= 400 and status != 404:
            raise refused(status, str(answer.get("message", "")), where)
