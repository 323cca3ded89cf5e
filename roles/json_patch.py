"""Operations of RFC 6902 on one document. Values in, values out; the input stays as it is.

An operation is a mapping with `op`, `path` and what the operation needs. It fails where it does not fit:
unlike a strategic merge, it says exactly what it expects to find.
"""

import copy
from collections.abc import Mapping
from typing import Any, NoReturn

from inventory.errors import OperatorError

_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")


def apply(document: Any, operation: Mapping[str, Any], where: str = "") -> Any:
    """The document after one operation."""
    name, path = operation.get("op"), _pointer(operation, "path", where)
    if name not in _OPERATIONS:
        fix = f"use one of {', '.join(_OPERATIONS)}"
        raise OperatorError(f"there is no JSON patch operation {name!r}", where=where, fix=fix)
    result = copy.deepcopy(document)
    if name == "remove":
        return _remove(result, path, where)
    if name in {"move", "copy"}:
        return _relocated(result, operation, path, where)
    if "value" not in operation:
        raise OperatorError(f"{name} has no value", where=where, fix="add `value:`")
    value = copy.deepcopy(operation["value"])
    if name == "add":
        return _add(result, path, value, where)
    return _tested(result, path, value, where) if name == "test" else _replace(result, path, value, where)


def _relocated(document: Any, operation: Mapping[str, Any], path: tuple[str, ...], where: str) -> Any:
    origin = _pointer(operation, "from", where)
    value = copy.deepcopy(_get(document, origin, where))
    if operation["op"] == "move":
        if path[: len(origin)] == origin and path != origin:
            _refuse(path, "can't be moved into itself", where)
        document = _remove(document, origin, where)
    return _add(document, path, value, where)


def _tested(document: Any, path: tuple[str, ...], value: Any, where: str) -> Any:
    found = _get(document, path, where)
    if type(found) is not type(value) or found != value:
        _refuse(path, "is not what the test expects", where)
    return document


def _replace(document: Any, path: tuple[str, ...], value: Any, where: str) -> Any:
    if not path:
        return value
    parent = _parent(document, path, where)
    parent[_key(parent, path, where)] = value
    return document


def _pointer(operation: Mapping[str, Any], field: str, where: str) -> tuple[str, ...]:
    text = operation.get(field)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        fix = "write a JSON pointer, such as /machine/kubelet/image; / in a key is ~1"
        raise OperatorError(f"{text!r} is no {field} of a JSON patch", where=where, fix=fix)
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def _refuse(path: tuple[str, ...], what: str, where: str) -> NoReturn:
    raise OperatorError(
        f"/{'/'.join(path)} {what}", where=where, fix="look at what is there: cto machineconfig render"
    )


def _get(document: Any, path: tuple[str, ...], where: str) -> Any:
    for depth in range(len(path)):
        document = document[_key(document, path[: depth + 1], where)]
    return document


def _parent(document: Any, path: tuple[str, ...], where: str) -> Any:
    return _get(document, path[:-1], where)


def _key(parent: Any, path: tuple[str, ...], where: str) -> Any:
    """The last part as a key that exists: of a map, or the number of a list's entry."""
    last = path[-1]
    if isinstance(parent, dict) and last in parent:
        return last
    if isinstance(parent, list) and _is_index(last) and int(last) < len(parent):
        return int(last)
    _refuse(path, "is not there", where)


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or not text.startswith("0"))


def _add(document: Any, path: tuple[str, ...], value: Any, where: str) -> Any:
    if not path:
        return value
    parent, last = _parent(document, path, where), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list) and last == "-":
        parent.append(value)
    elif isinstance(parent, list) and _is_index(last) and int(last) <= len(parent):
        parent.insert(int(last), value)
    else:
        _refuse(path, "can't be added there", where)
    return document


def _remove(document: Any, path: tuple[str, ...], where: str) -> Any:
    if not path:
        _refuse(path, "is the whole document, which stays", where)
    parent = _parent(document, path, where)
    del parent[_key(parent, path, where)]
    return document
