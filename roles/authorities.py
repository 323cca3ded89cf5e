"""Authorities that a cluster accepts beside the one that issues: what a rotation lives on. Rotates nothing.

Talos trusts `acceptedCAs` in addition to the authority whose key signs, so that an authority can be exchanged
while nodes with certificates of both talk to each other (Talos pkg/rotate/pki). Values in, values out.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from inventory.errors import OperatorError
from roles.pki import normal
from roles.secrets import Accepted, SecretsBundle, b64


def with_accepted(bundle: SecretsBundle, more: Accepted) -> SecretsBundle:
    """The bundle with these kept as well; an authority that issues is not repeated, nor is any other."""
    have = bundle.accepted
    return replace(
        bundle,
        accepted=Accepted(
            os=_union(have.os, more.os, bundle.os.crt),
            k8s=_union(have.k8s, more.k8s, bundle.k8s.crt),
            k8s_aggregator=_union(have.k8s_aggregator, more.k8s_aggregator, bundle.k8s_aggregator.crt),
            settled=have.settled or more.settled,
        ),
    )


def settled(bundle: SecretsBundle) -> SecretsBundle:
    """With the word that these are all that it accepts."""
    return replace(bundle, accepted=replace(bundle.accepted, settled=True))


def same_but_accepted(one: SecretsBundle, other: SecretsBundle) -> bool:
    """Are they of one cluster in one state of issuing, whatever else each accepts?"""
    return replace(one, accepted=Accepted()) == replace(other, accepted=Accepted())


def accepted_in(config: str, where: str = "") -> Accepted:
    """Those that a machine configuration accepts, of any Talos minor; the issuing ones may be among them."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = [one for one in yaml.load_all(config, Loader=loader) if isinstance(one, Mapping)]
    except (yaml.YAMLError, ValueError, RecursionError):
        # Not chained and without the parser's words: both could quote a secret.
        raise OperatorError("the configuration is not YAML", where=where, fix="look at the node") from None
    kinds = {str(one.get("kind", "")): one for one in documents}
    main = kinds.get("", {})
    return Accepted(
        os=tuple(_legacy(main, "machine", where)),
        k8s=(*_legacy(main, "cluster", where), *_texts(kinds.get("KubeAPIServerCAConfig"), where)),
        k8s_aggregator=tuple(_texts(kinds.get("KubeAggregatorCAConfig"), where)),
    )


def trusted(issuing: str, accepted: Iterable[str]) -> str:
    """All the certificates one after the other, as TLS libraries and kubeconfigs read them."""
    return "".join(pem if pem.endswith("\n") else f"{pem}\n" for pem in (issuing, *accepted))


def legacy_field(accepted: Iterable[str]) -> dict[str, Any]:
    """`acceptedCAs` as `machine` and, up to Talos 1.13, `cluster` have it; nothing if there are none."""
    entries = [{"crt": b64(pem)} for pem in accepted]
    return {"acceptedCAs": entries} if entries else {}


def _legacy(main: Mapping[str, Any], section: str, where: str) -> Iterator[str]:
    found = main.get(section)
    for entry in (found.get("acceptedCAs") if isinstance(found, Mapping) else None) or ():
        crt = entry.get("crt") if isinstance(entry, Mapping) else entry
        try:
            yield normal(base64.b64decode(str(crt), validate=True).decode("ascii"), where)
        except (binascii.Error, UnicodeDecodeError):
            raise OperatorError(
                f"{section}.acceptedCAs holds no certificate", where=where, fix="look at the node"
            ) from None


def _texts(document: Mapping[str, Any] | None, where: str) -> Iterator[str]:
    for pem in (document or {}).get("acceptedCAs") or ():
        yield normal(str(pem), where)


def _union(have: Iterable[str], more: Iterable[str], issuing: str) -> tuple[str, ...]:
    own = normal(issuing)
    return tuple(pem for pem in dict.fromkeys((*have, *more)) if pem != own)
