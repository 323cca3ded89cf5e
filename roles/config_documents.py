"""The documents beside the main one, from Talos 1.12 on: host name, interfaces, DNS, time, registries, proxy.
Those that came with 1.14 are in `config_system` and `config_kubernetes`.

An interface without a document gets its address by DHCP.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from roles.config_input import DNS_DOMAIN, ConfigInput
from roles.config_links import link_documents

Document = dict[str, Any]


def extra_documents(source: ConfigInput) -> list[Document]:
    """In a fixed order; only those that say something. None for a Talos that has no such documents."""
    if not source.contract.network_documents:
        return []
    return [
        _document("HostnameConfig", hostname=source.node.name),
        *link_documents(source.links),
        *_dns(source),
        *_time(source),
        *_others(source),
    ]


def _document(kind: str, **fields: Any) -> Document:
    return {"apiVersion": "v1alpha1", "kind": kind, **fields}


def _dns(source: ConfigInput) -> Iterator[Document]:
    servers = [{"address": address} for address in source.settings.get("nameservers") or ()]
    domains = list(source.settings.get("searchDomains") or ())
    fields: dict[str, Any] = {"nameservers": servers} if servers else {}
    if domains:
        fields["searchDomains"] = {"domains": domains}
    if source.contract.kubernetes_documents:
        fields["hostDNS"] = {"enabled": True, "forwardKubeDNSToHost": True}
    if fields:
        yield _document("ResolverConfig", **fields)


def _time(source: ConfigInput) -> Iterator[Document]:
    servers = list(source.settings.get("timeServers") or ())
    if source.settings.get("timeDisabled"):
        yield _document("TimeSyncConfig", enabled=False)
    elif servers:
        yield _document("TimeSyncConfig", enabled=True, ntp={"servers": servers})


def _others(source: ConfigInput) -> Iterator[Document]:
    for registry, mirrors in (source.settings.get("registryMirrors") or {}).items():
        yield _document("RegistryMirrorConfig", name=registry, endpoints=[{"url": url} for url in mirrors])
    for host, pem in source.registry_cas.items():
        yield _document("RegistryTLSConfig", name=host, ca=pem)
    variables = proxy_variables(source)
    if variables and source.contract.environment_document:
        yield _document("EnvironmentConfig", variables=variables)


def proxy_variables(source: ConfigInput) -> dict[str, str]:
    """The proxy, and what must never go through it: the machine itself, the cluster's own names."""
    proxy: Mapping[str, Any] = source.settings.get("proxy") or {}
    chosen = {"http_proxy": proxy.get("http"), "https_proxy": proxy.get("https")}
    variables = {name: str(url) for name, url in chosen.items() if url}
    if not variables:
        return {}
    inside = ("localhost", "127.0.0.1", source.pod_cidr, source.service_cidr, ".svc", f".{DNS_DOMAIN}")
    direct = dict.fromkeys((*inside, source.endpoint_host, *(proxy.get("noProxy") or ())))
    return variables | {"no_proxy": ",".join(direct)}
