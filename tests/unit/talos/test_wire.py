"""The wire table: whole, unambiguous, and equal to what an independent generator made of upstream's .proto files."""

import dataclasses
import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.talos.messages import enum_name, message, method, package_of, parse, wire
from inventory.errors import InvariantError

ORACLE = "talos_linux_api.v1_6_0"
SCALARS = {"string", "bytes", "bool", "int32", "int64", "uint32", "uint64", "double"}
# Fields that came after 1.6, by message.
LATER = {
    "machine.ListRequest": {5},
    "machine.FileInfo": {12},
    "machine.EtcdMemberStatus": {10, 11},
}
# Block and hardware resources were still growing in 1.6.
GROWING = ("talos.resource.definitions.",)
# Large ones of which only what is used is declared: the rest is skipped when it is read.
PARTIAL = {
    "talos.resource.definitions.extensions.Metadata",
    "talos.resource.definitions.network.LinkStatusSpec",
}


def test_every_type_and_number_is_declared_once():
    table = wire()
    known = SCALARS | set(table.messages) | set(table.enums)
    for name, fields in table.messages.items():
        numbers = [field.number for field in fields]
        names = [field.name for field in fields]
        assert len(set(numbers)) == len(numbers), name
        assert len(set(names)) == len(names), name
        for field in fields:
            assert field.type in known or field.type.startswith("google.protobuf."), (name, field)
    for name, values in table.enums.items():
        assert len(set(values.values())) == len(values), name
        assert 0 in values.values(), name
    for methods in table.services.values():
        assert len({one.path for one in methods}) == len(methods)
        for one in methods:
            assert {one.request, one.response} - {"google.protobuf.Empty"} <= set(table.messages)


@pytest.mark.parametrize("name", sorted(wire().messages))
def test_the_class_has_the_table_s_fields(name):
    made = message(name).DESCRIPTOR
    assert made.full_name == name
    fields = wire().messages[name]
    assert {(field.name, field.number) for field in made.fields} == {
        (field.name, field.number) for field in fields
    }
    for field in fields:
        found = made.fields_by_name[field.name]
        assert found.is_repeated == field.repeated
        assert found.has_presence or not field.optional


def oracle_classes():
    """Our message name → the oracle's class. It writes names in its own case and joins nested ones."""
    found = {}
    for name in wire().messages:
        package = package_of(name)
        try:
            module = importlib.import_module(f"{ORACLE}.{package}")
        except ModuleNotFoundError:
            continue
        own = name.removeprefix(f"{package}.").replace(".", "").lower()
        for theirs in vars(module).values():
            if dataclasses.is_dataclass(theirs) and theirs.__name__.lower() == own:
                found[name] = theirs
    return found


def test_the_oracle_knows_most_of_it():
    assert len(oracle_classes()) >= 138


@pytest.mark.parametrize(("name", "theirs"), sorted(oracle_classes().items(), key=lambda item: item[0]))
def test_equal_to_the_oracle(name, theirs):
    ours = {field.number: field for field in wire().messages[name]}
    seen = set()
    for field in dataclasses.fields(theirs):
        about = field.metadata["betterproto"]
        own = ours.get(about.number)
        if own is None and name in PARTIAL:
            continue
        assert own is not None, (about, field.name)
        kind = "enum" if own.type in wire().enums else "message" if "." in own.type else own.type
        assert about.proto_type in {kind, "map"}
        assert own.name.replace("_", "").lower() == field.name.replace("_", "").lower()
        assert own.repeated == str(field.type).startswith(("List[", "typing.List", "Dict["))
        seen.add(about.number)
    extra = set(ours) - seen
    assert (
        extra == LATER.get(name, set()) or name.startswith(GROWING) or name == "machine.EtcdMemberStatus"
    ), extra


def test_values_that_are_not_known_are_shown_as_numbers():
    assert enum_name("machine.RebootRequest.Mode", 1) == "POWERCYCLE"
    assert enum_name("machine.RebootRequest.Mode", 99) == "99"


def test_methods_know_their_kind():
    assert method("/machine.MachineService/Kubeconfig").streams_response
    assert method("/machine.MachineService/EtcdRecover").streams_request
    assert not method("/machine.MachineService/Version").streams_response
    for path in ("/machine.MachineService/Nothing", "/nothing.Service/Version"):
        with pytest.raises(InvariantError, match="no method"):
            method(path)
    with pytest.raises(InvariantError, match="no message"):
        message("machine.Nothing")


@pytest.mark.parametrize(
    "text",
    [
        "message a.B: x\n",
        "message a.B: 1 name\n",
        "mesage a.B: 1 name string\n",
        "service a.S: Do a.B a.C\n",
        "message a.B:\nmessage a.B:\n",
    ],
)
def test_a_broken_table_is_our_bug_and_says_where(text):
    with pytest.raises(InvariantError, match=r"wire\.txt"):
        parse(text)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_kept_never_a_crash(data):
    from google.protobuf.message import DecodeError

    for name in ("cosi.resource.GetResponse", "machine.ServiceListResponse"):
        try:
            found = message(name).FromString(data)
        except DecodeError:
            continue
        assert found.DESCRIPTOR.full_name == name
