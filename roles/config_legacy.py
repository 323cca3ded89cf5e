"""What stood in `machine` up to Talos 1.11 and has documents since 1.12: network, time, registries."""

from typing import Any

from inventory.errors import RefusedError
from roles.config_input import ConfigInput
from roles.config_links import legacy_interfaces
from roles.secrets import b64


def legacy_fields(source: ConfigInput) -> dict[str, Any]:
    """Fields of `machine`; empty ones are for the caller to leave out."""
    return {"network": _network(source), "time": _time(source), "registries": _registries(source)}


def _network(source: ConfigInput) -> dict[str, Any]:
    settings = source.settings
    domains = list(settings.get("searchDomains") or ())
    if domains and not source.contract.search_domains:
        raise RefusedError(
            f"Talos {source.contract.minor} can't be given search domains",
            where=f"node {source.node.name}",
            fix="use Talos 1.9 or later, or remove settings.searchDomains",
        )
    fields = {
        "interfaces": legacy_interfaces(source.links, source.contract.number, f"node {source.node.name}"),
        "nameservers": list(settings.get("nameservers") or ()),
        "searchDomains": domains,
    }
    return {"hostname": source.node.name, **{key: value for key, value in fields.items() if value}}


def _time(source: ConfigInput) -> dict[str, Any]:
    if source.settings.get("timeDisabled"):
        return {"disabled": True}
    servers = list(source.settings.get("timeServers") or ())
    return {"servers": servers} if servers else {}


def _registries(source: ConfigInput) -> dict[str, Any]:
    mirrors = source.settings.get("registryMirrors") or {}
    trusted = {host: {"tls": {"ca": b64(pem)}} for host, pem in source.registry_cas.items()}
    fields = {
        "mirrors": {name: {"endpoints": list(urls)} for name, urls in mirrors.items()},
        "config": trusted,
    }
    return {key: value for key, value in fields.items() if value}
