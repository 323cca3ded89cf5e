import pytest

from inventory.errors import OperatorError
from iso.lab import kinds
from iso.lab.spec import LabInfo, LabSpec, layout


def roles(spec):
    return [machine.role for machine in layout(spec)]


def test_roles_follow_from_the_number_of_nodes():
    assert roles(LabSpec(sites=1, nodes=1)) == ["appliance"]
    assert roles(LabSpec(sites=1, nodes=2)) == ["controlplane", "worker"]
    assert roles(LabSpec(sites=1, nodes=3)) == ["controlplane"] * 3
    assert roles(LabSpec(sites=1, nodes=6)) == ["controlplane"] * 3 + ["worker"] * 3
    assert roles(LabSpec(mixed=(4, 1))) == ["controlplane"] * 3 + ["worker", "appliance"]


def test_names_and_addresses_are_unique():
    machines = layout(LabSpec(sites=20, nodes=10))
    assert (
        len({machine.name for machine in machines}) == len({machine.address for machine in machines}) == 200
    )
    assert len({machine.site for machine in machines}) == 20
    assert all(machine.address.startswith("127.") for machine in machines)


def test_addresses_follow_from_the_seed_or_are_given():
    first, again, other = (layout(LabSpec(seed=seed))[0].address for seed in ("a", "a", "b"))
    assert first == again != other
    assert layout(LabSpec(base_address=77))[0].address == "127.77.1.10"


def test_default_hardware_exists():
    for machine in layout(LabSpec(mixed=(1, 1, 2, 9))):
        assert kinds.make(machine.hardware, seed=machine.name).arch == "amd64"


@pytest.mark.parametrize(
    "fields", [{"sites": 0}, {"nodes": 0}, {"sites": 21, "nodes": 10}, {"mixed": (4, 0)}, {"base_address": 7}]
)
def test_impossible_labs_are_refused(fields):
    with pytest.raises(OperatorError) as caught:
        layout(LabSpec(**fields))
    assert caught.value.fix


def test_a_spec_and_an_info_survive_json():
    spec = LabSpec(mixed=(4, 1), hardware=("vm-kvm",))
    assert LabSpec.from_dict(spec.to_dict()) == spec
    info = LabInfo(1, True, (), spec, ("p",))
    assert LabInfo.from_dict(info.to_dict()) == info
