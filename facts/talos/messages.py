"""Message classes and service methods of the Talos API, made from `wire.txt` at first use; no protoc.

Knows the wire format only: it opens no connection and gives no meaning to a field. The classes live in a
descriptor pool of their own, so that they can't clash with another library's generated code.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, duration_pb2, empty_pb2, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from inventory.errors import InvariantError

Descriptor = descriptor_pb2.DescriptorProto
FieldType = descriptor_pb2.FieldDescriptorProto
_WELL_KNOWN = (any_pb2, duration_pb2, empty_pb2, timestamp_pb2)
_FILE = "facts/talos/wire.txt"
_FIELD = re.compile(r"(\d+) (\w+) (\*?)([\w.]+)(\?|@\w+)?")
_METHOD = re.compile(r"(\w+) (>?)([\w.]+) -> (>?)([\w.]+)")


@dataclass(frozen=True, slots=True)
class Field:
    number: int
    name: str
    type: str  # scalar name, or full name of a message or enum
    repeated: bool = False
    oneof: str = ""
    optional: bool = False  # explicit presence


@dataclass(frozen=True, slots=True)
class Method:
    """`path` is what gRPC sends: "/machine.MachineService/Version"."""

    path: str
    request: str
    response: str
    streams_request: bool = False
    streams_response: bool = False


@dataclass(frozen=True, slots=True)
class Wire:
    """The whole table, by full name. Enum values keep their order; the first is the default."""

    messages: Mapping[str, tuple[Field, ...]]
    enums: Mapping[str, Mapping[str, int]]
    services: Mapping[str, tuple[Method, ...]]


def parse(text: str) -> Wire:
    """Reads the table. A line that is no entry is an InvariantError: the file is ours."""
    messages: dict[str, tuple[Field, ...]] = {}
    enums: dict[str, Mapping[str, int]] = {}
    services: dict[str, tuple[Method, ...]] = {}
    for entry in _entries(text):
        kind, _, rest = entry.partition(" ")
        name, _, body = rest.partition(":")
        if name in messages or name in enums or name in services:
            raise InvariantError(f"{name} is declared twice", where=_FILE, fix="remove one of them")
        parts = [part.strip() for part in body.split(";") if part.strip()]
        if kind == "message":
            messages[name] = tuple(_field(part) for part in parts)
        elif kind == "enum":
            enums[name] = {
                key: int(value) for key, _, value in (word.partition("=") for word in body.split())
            }
        elif kind == "service":
            services[name] = tuple(_method(name, part) for part in parts)
        else:
            raise _bad(entry)
    return Wire(messages, enums, services)


def _entries(text: str) -> Iterator[str]:
    """Logical lines: comments dropped, indented continuations joined."""
    current = ""
    for line in text.splitlines():
        if line.startswith(" "):
            current = f"{current} {line.strip()}"
            continue
        if current:
            yield current
        current = "" if line.startswith("#") else line.strip()
    if current:
        yield current


def _bad(part: str) -> InvariantError:
    return InvariantError(f"can't read {part!r}", where=_FILE, fix="see the form at its top")


def _field(part: str) -> Field:
    found = _FIELD.fullmatch(part)
    if found is None:
        raise _bad(part)
    number, name, star, type_, mark = found.groups(default="")
    return Field(int(number), name, type_, bool(star), mark[1:] if mark.startswith("@") else "", mark == "?")


def _method(service: str, part: str) -> Method:
    found = _METHOD.fullmatch(part)
    if found is None:
        raise _bad(part)
    name, up, request, down, response = found.groups()
    return Method(f"/{service}/{name}", request, response, bool(up), bool(down))


@functools.cache
def wire() -> Wire:
    return parse(resources.files("facts.talos").joinpath("wire.txt").read_text(encoding="utf-8"))


@functools.cache
def message(name: str) -> Any:
    """The class of a message, as in `message("machine.BootstrapRequest")(recover_etcd=False)`."""
    try:
        return GetMessageClass(_pool().FindMessageTypeByName(name))
    except KeyError:
        raise InvariantError(f"no message {name}", where=_FILE, fix="declare it there") from None


@functools.cache
def method(path: str) -> Method:
    """The method with gRPC path `path`."""
    service = path.strip("/").partition("/")[0]
    for found in wire().services.get(service, ()):
        if found.path == path:
            return found
    raise InvariantError(f"no method {path}", where=_FILE, fix="declare it there")


def enum_name(enum: str, number: int) -> str:
    """The value's name; its number as text if this program does not know it (proto3 enums are open)."""
    return next((name for name, value in wire().enums[enum].items() if value == number), str(number))


def enum_number(enum: str, name: str) -> int:
    return wire().enums[enum][name]


def package_of(name: str) -> str:
    """`machine` for `machine.RebootRequest.Mode`: packages are written in lower case, types are not."""
    return ".".join(part for part in name.split(".") if part[0].islower())


@functools.cache
def _pool() -> DescriptorPool:
    table = wire()
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for package in dict.fromkeys(package_of(name) for name in (*table.messages, *table.enums)):
        name = f"{package}.proto"
        files[package] = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    declared: dict[str, Descriptor] = {}
    # Shorter names first: a message exists before what is nested in it.
    for name in sorted(table.messages, key=lambda name: name.count(".")):
        declared[name] = _declare(files, declared, name)
        for field in table.messages[name]:
            _add_field(declared[name], field, table)
            if "." in field.type:
                _depend(files, package_of(name), package_of(field.type))
    for name, values in table.enums.items():
        _add_enum(files, declared, name, values)
    pool = DescriptorPool()
    for known in _WELL_KNOWN:
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    for file in files.values():
        _add_file(pool, files, file, set())
    return pool


def _declare(
    files: Mapping[str, descriptor_pb2.FileDescriptorProto], declared: Mapping[str, Descriptor], name: str
) -> Descriptor:
    outer, _, own = name.rpartition(".")
    made = declared[outer].nested_type.add() if outer in declared else files[outer].message_type.add()
    made.name = own
    return made


def _add_enum(
    files: Mapping[str, descriptor_pb2.FileDescriptorProto],
    declared: Mapping[str, Descriptor],
    name: str,
    values: Mapping[str, int],
) -> None:
    outer, _, own = name.rpartition(".")
    made = declared[outer].enum_type.add() if outer in declared else files[outer].enum_type.add()
    made.name = own
    for value, number in values.items():
        made.value.add(name=value, number=number)


def _add_field(owner: Descriptor, field: Field, table: Wire) -> None:
    made = owner.field.add(name=field.name, number=field.number)
    made.label = FieldType.LABEL_REPEATED if field.repeated else FieldType.LABEL_OPTIONAL
    if "." in field.type:
        made.type = FieldType.TYPE_ENUM if field.type in table.enums else FieldType.TYPE_MESSAGE
        made.type_name = f".{field.type}"
    else:
        made.type = FieldType.Type.Value(f"TYPE_{field.type.upper()}")
    if field.optional:
        made.proto3_optional = True
    group = f"_{field.name}" if field.optional else field.oneof
    if group:
        names = [one.name for one in owner.oneof_decl]
        if group not in names:
            owner.oneof_decl.add(name=group)
            names.append(group)
        made.oneof_index = names.index(group)


def _depend(files: Mapping[str, descriptor_pb2.FileDescriptorProto], package: str, other: str) -> None:
    wanted = [f"{other}.proto"] if other in files else [known.DESCRIPTOR.name for known in _WELL_KNOWN]
    for name in wanted:
        if other != package and name not in files[package].dependency:
            files[package].dependency.append(name)


def _add_file(
    pool: DescriptorPool,
    files: Mapping[str, descriptor_pb2.FileDescriptorProto],
    file: descriptor_pb2.FileDescriptorProto,
    added: set[str],
) -> None:
    """Dependencies first. Packages do not depend on each other in a circle."""
    if file.name in added or _has(pool, file.name):
        return
    added.add(file.name)
    for name in file.dependency:
        package = name.removesuffix(".proto")
        if package in files:
            _add_file(pool, files, files[package], added)
    pool.AddSerializedFile(file.SerializeToString())


def _has(pool: DescriptorPool, name: str) -> bool:
    try:
        pool.FindFileByName(name)
    except KeyError:
        return False
    return True
