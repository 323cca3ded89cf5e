"""Strategic merge patches of machine configurations, by Talos's own rules. Values in, values out.

A patch without `kind` goes into the main document; one with `apiVersion` and `kind` into the document of
that kind and name, which is added if it is not there. Maps merge, scalars are replaced, lists are appended
to, but for the exceptions in the tables below (Talos config/merge, v1alpha1_types.go). `$patch: delete`
removes what it stands in. A patch with `op` is an operation of RFC 6902 on the main document, or on the one
that its `kind` (and `name`) say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inventory.errors import OperatorError
from roles import json_patch

Document = dict[str, Any]

# Lists and maps that a patch replaces (struct tag merge:"replace").
_REPLACED: frozenset[tuple[str, ...]] = frozenset(
    {
        ("cluster", "network", "podSubnets"),
        ("cluster", "network", "serviceSubnets"),
        ("cluster", "apiServer", "auditPolicy"),
        ("NetworkRuleConfig", "ingress"),
        ("NetworkRuleConfig", "portSelector", "ports"),
        ("BGPInstanceConfig", "advertise"),
        ("BGPInstanceConfig", "importRoutes"),
        ("BGPInstanceConfig", "neighbors"),
        ("CRIBaseRuntimeSpecConfig", "overrides"),
        ("KubeAuditPolicyConfig", "configuration"),
        ("KubeAuthenticationConfig", "configuration"),
        ("KubeCredentialProviderConfig", "configuration"),
        ("KubeNetworkConfig", "podSubnets"),
        ("KubeNetworkConfig", "serviceSubnets"),
        ("KubeStaticPodConfig", "pod"),
    }
)
_REPLACED_SINCE: Mapping[tuple[str, ...], int] = {("ResolverConfig", "searchDomains", "domains"): 14}
# Lists whose entries are merged with the entry that has the same value of one of these keys.
_KEYED: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("machine", "network", "interfaces"): ("interface", "deviceSelector"),
    ("machine", "network", "interfaces", "vlans"): ("vlanId",),
    ("cluster", "apiServer", "admissionControl"): ("name",),
    ("ExtensionServiceConfig", "configFiles"): ("mountPath",),
}
_DELETE = "$patch"


@dataclass(frozen=True, slots=True)
class _Rules:
    """What holds for one patch: where it stands, for errors, and the lists that it replaces."""

    where: str
    replaced: frozenset[tuple[str, ...]]


def apply(
    documents: Sequence[Document], patches: Sequence[Mapping[str, Any]], *, where: str = "", minor: int = 13
) -> list[Document]:
    """The documents with all patches applied in their order, as Talos 1.`minor` does it; the inputs stay as
    they are.
    """
    result = [dict(document) for document in documents]
    replaced = _REPLACED | {path for path, since in _REPLACED_SINCE.items() if minor >= since}
    for number, patch in enumerate(patches, 1):
        _patch(result, patch, _Rules(f"{where}: patch {number}".removeprefix(": "), replaced))
    return result


def _patch(result: list[Document], patch: Mapping[str, Any], rules: _Rules) -> None:
    """One patch, in place."""
    if "op" in patch:
        _operate(result, patch, rules.where)
        return
    if ("kind" in patch) != ("apiVersion" in patch):
        raise OperatorError(
            "a patch of an extra document needs both apiVersion and kind",
            where=rules.where,
            fix="add `apiVersion: v1alpha1` and the kind, or remove both to patch the main document",
        )
    deletes = _is_deletion(patch, rules.where)
    if deletes and "kind" not in patch:
        raise OperatorError(
            "the main document can't be deleted",
            where=rules.where,
            fix="delete one of its keys, or name a kind",
        )
    at = next((i for i, document in enumerate(result) if _identity(document) == _identity(patch)), None)
    root = (str(patch["kind"]),) if "kind" in patch else ()
    if at is None and not deletes:
        result.append(_merged({}, patch, root, rules))
    elif at is not None and deletes:
        del result[at]
    elif at is not None:
        result[at] = _merged(result[at], patch, root, rules)


def _operate(result: list[Document], operation: Mapping[str, Any], where: str) -> None:
    """One operation of RFC 6902, in place."""
    wanted = (operation.get("kind"), operation.get("name"))
    at = next((i for i, d in enumerate(result) if (d.get("kind"), d.get("name")) == wanted), None)
    if at is None:
        named = " ".join(str(part) for part in wanted if part) or "main one"
        raise OperatorError(
            f"there is no document {named} to patch", where=where, fix="check its kind and name"
        )
    patched = json_patch.apply(result[at], operation, where)
    if not isinstance(patched, dict):
        raise OperatorError("a document can't become a single value", where=where, fix="name a field")
    result[at] = patched


def _is_deletion(value: Any, where: str) -> bool:
    """Is this a map that says `$patch: delete`? Talos knows no other word there."""
    word = value.get(_DELETE) if isinstance(value, Mapping) else None
    if word is not None and word != "delete":
        raise OperatorError(f"$patch: {word} is unknown", where=where, fix="use $patch: delete, or remove it")
    return word is not None


def _identity(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells one document from another; the main document has no kind."""
    return (
        (document.get("apiVersion"), document.get("kind"), document.get("name")) if "kind" in document else ()
    )


def _merged(
    old: Mapping[str, Any], patch: Mapping[str, Any], path: tuple[str, ...], rules: _Rules
) -> Document:
    result = dict(old)
    for key, value in patch.items():
        here = (*path, str(key))
        if value is None:
            continue  # Talos reads null as "not said"
        if _is_deletion(value, rules.where):
            result.pop(key, None)
        elif result.get(key) is None:
            result[key] = _clean(value, here, rules)
        else:
            result[key] = _joined(result[key], value, here, rules)
    return result


def _clean(value: Any, path: tuple[str, ...], rules: _Rules) -> Any:
    """A value that is new here, without deletions inside."""
    return _merged({}, value, path, rules) if isinstance(value, Mapping) else value


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a map"
    return "a list" if isinstance(value, list) else "a single value"


def _joined(old: Any, new: Any, path: tuple[str, ...], rules: _Rules) -> Any:
    containers = (Mapping, list)
    if [isinstance(old, kind) for kind in containers] != [isinstance(new, kind) for kind in containers]:
        raise OperatorError(
            f"{'.'.join(path)} is {_kind(old)}, the patch has {_kind(new)}",
            where=rules.where,
            fix="give the patch the same shape as the field",
        )
    if path in rules.replaced:
        return new
    if isinstance(old, Mapping):
        return _merged(old, new, path, rules)
    if isinstance(old, list):
        return _joined_lists(old, new, path, rules)
    return new


def _joined_lists(old: list[Any], new: list[Any], path: tuple[str, ...], rules: _Rules) -> list[Any]:
    result = list(old)
    for entry in new:
        deletes = _is_deletion(entry, rules.where)
        # A deletion names its entry by whatever else it says, in a list of any kind.
        keys = tuple(key for key in entry if key != _DELETE) if deletes else _KEYED.get(path, ())
        at = next((i for i, known in enumerate(result) if _same_entry(known, entry, keys)), None)
        if deletes and at is None:
            raise OperatorError(
                f"{'.'.join(path)} has no entry to delete like that",
                where=rules.where,
                fix="check the entry's name",
            )
        if at is None:
            result.append(_clean(entry, path, rules))
        elif deletes:
            del result[at]
        else:
            result[at] = _merged(result[at], entry, path, rules)
    return result


def _same_entry(known: Any, entry: Any, keys: tuple[str, ...]) -> bool:
    if not isinstance(known, Mapping) or not isinstance(entry, Mapping):
        return False
    return any(key in entry and known.get(key) == entry[key] for key in keys)
