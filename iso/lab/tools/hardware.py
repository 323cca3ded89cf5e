"""What hardware says of itself: lscpu, dmidecode, lspci, ip, smartctl, ipmitool. Captured text wins."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from iso.lab.kinds import DimmKind, DiskKind, NicKind
from iso.lab.shell.call import Call, Tool

_PROTOCOLS = {"nvme": "NVMe", "sata": "ATA", "usb": "SCSI", "sas": "SCSI", "virtio": "SCSI", "mmc": "MMC"}


def _captured(tool: Tool) -> Tool:
    """The tool, unless the hardware's file has the very output for these arguments."""

    async def answered(call: Call) -> int:
        text = call.host.hardware.commands.get(" ".join([call.name, *call.args]))
        if text is None:
            return await tool(call)
        await call.out.write(text.encode())
        return 0

    return answered


async def lscpu(call: Call) -> int:
    hardware = call.host.hardware
    cpu = hardware.cpu
    rows = {
        "Architecture": {"amd64": "x86_64", "arm64": "aarch64"}[hardware.arch],
        "CPU(s)": cpu.threads_in_all,
        "On-line CPU(s) list": f"0-{cpu.threads_in_all - 1}",
        "Vendor ID": cpu.vendor,
        "Model name": cpu.model,
        "Thread(s) per core": cpu.threads,
        "Core(s) per socket": cpu.cores,
        "Socket(s)": cpu.sockets,
    }
    if cpu.hypervisor:
        rows |= {"Hypervisor vendor": cpu.hypervisor, "Virtualization type": "full"}
    if call.args[:1] in (["-J"], ["--json"]):
        fields = [{"field": f"{name}:", "data": str(value)} for name, value in rows.items()]
        return await call.print(json.dumps({"lscpu": fields}, indent=3))
    return await call.print(*(f"{name + ':':<32}{value}" for name, value in rows.items()))


async def dmidecode(call: Call) -> int:
    hardware = call.host.hardware
    if not hardware.dmi:
        return await call.print("# dmidecode 3.4", "# No SMBIOS nor DMI entry point found, sorry.") or 1
    if call.args[:1] == ["-s"]:
        name = (
            call.args[1]
            .replace("system-", "product_")
            .replace("-", "_")
            .replace("product_product", "product")
        )
        names = {"product_manufacturer": "sys_vendor", "product_serial_number": "product_serial"}
        return await call.print(hardware.dmi.get(names.get(name, name), "Not Specified"))
    lines = ["# dmidecode 3.4", "Getting SMBIOS data from sysfs.", "SMBIOS 3.3.0 present.", ""]
    if call.args[:2] in (["-t", "17"], ["-t", "memory"]) and hardware.dimms:
        for slot in range(hardware.dimms.slots):
            lines += _dimm(hardware.dimms, slot, hardware.dmi.get("product_serial", ""))
    return await call.print(*lines)


def _dimm(dimms: DimmKind, slot: int, serial: str) -> list[str]:
    filled = slot < dimms.count
    rows: dict[str, Any] = {
        "Array Handle": "0x1000",
        "Error Information Handle": "Not Provided",
        "Total Width": ("72 bits" if dimms.ecc else "64 bits") if filled else "Unknown",
        "Data Width": "64 bits" if filled else "Unknown",
        "Size": dimms.size if filled else "No Module Installed",
        "Form Factor": "DIMM",
        "Locator": f"A{slot + 1}",
        "Bank Locator": "Not Specified",
        "Type": dimms.type if filled else "Unknown",
    }
    if filled:
        rows |= {
            "Speed": f"{dimms.speed} MT/s",
            "Manufacturer": dimms.manufacturer,
            "Serial Number": f"{serial[:5]}{slot:03d}",
            "Part Number": dimms.part,
            "Configured Memory Speed": f"{dimms.speed} MT/s",
        }
    return [
        f"Handle 0x11{slot:02X}, DMI type 17, 92 bytes",
        "Memory Device",
        *(f"\t{k}: {v}" for k, v in rows.items()),
        "",
    ]


async def lspci(call: Call) -> int:
    hardware = call.host.hardware
    if not hardware.pci and hardware.arch == "arm64":
        return await call.fail("Cannot find any working access method.")
    return await call.print(*hardware.pci)


async def ip(call: Call) -> int:
    """`ip -j -d addr` and `ip -j link`; the other sub-commands have no network to show."""
    words = [arg for arg in call.args if not arg.startswith("-")]
    if words[:1] not in (["addr"], ["address"], ["a"], ["link"]):
        return await call.print(*(["[]"] if "-j" in call.args else []))
    loopback = {
        "ifindex": 1,
        "ifname": "lo",
        "flags": ["LOOPBACK", "UP", "LOWER_UP"],
        "mtu": 65536,
        "operstate": "UNKNOWN",
        "link_type": "loopback",
        "address": "00:00:00:00:00:00",
        "addr_info": [
            {"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host", "label": "lo"}
        ],
    }
    nics = [_nic(index, nic, call.host.machine.address) for index, nic in enumerate(call.host.hardware.nics)]
    if "-j" in call.args:
        return await call.print(json.dumps([loopback, *nics]))
    return await call.print(
        *(
            f"{one['ifindex']}: {one['ifname']}: mtu {one['mtu']} state {one['operstate']}"
            for one in [loopback, *nics]
        )
    )


def _nic(index: int, nic: NicKind, address: str) -> dict[str, Any]:
    flags = ["BROADCAST", "MULTICAST", "UP", *(["LOWER_UP"] if nic.link else ["NO-CARRIER"])]
    # The first interface with a link has the machine's address.
    own = [
        {
            "family": "inet",
            "local": address,
            "prefixlen": 24,
            "scope": "global",
            "dynamic": True,
            "label": nic.name,
        }
    ]
    return {
        "ifindex": index + 2,
        "ifname": nic.name,
        "flags": flags,
        "mtu": 1500,
        "qdisc": "mq",
        "operstate": "UP" if nic.link else "DOWN",
        "group": "default",
        "txqlen": 1000,
        "link_type": "ether",
        "address": nic.mac,
        "broadcast": "ff:ff:ff:ff:ff:ff",
        "promiscuity": 0,
        "min_mtu": 68,
        "max_mtu": 9000,
        "parentbus": "pci",
        "parentdev": nic.pci,
        "addr_info": own if index == 0 and nic.link else [],
    }


async def smartctl(call: Call) -> int:
    if "--version" in call.args:
        return await call.print("smartctl 7.3 2022-02-28")
    if "--scan" in call.args:
        return await call.print(
            *(f"/dev/{disk.name} -d auto # /dev/{disk.name}" for disk in call.host.hardware.disks)
        )
    path = call.args[-1] if call.args else ""
    disk = next((one for one in call.host.hardware.disks if f"/dev/{one.name}" == path), None)
    if disk is None:
        return await call.print(json.dumps({"smartctl": {"exit_status": 2}, "device": {"name": path}})) or 2
    document, status = _smart(disk, path)
    if any(arg.startswith(("-j", "--json")) for arg in call.args):
        await call.print(json.dumps(document))
    else:
        passed = document.get("smart_status", {}).get("passed", False)
        await call.print(
            f"SMART overall-health self-assessment test result: {'PASSED' if passed else 'UNKNOWN'}"
        )
    return status


def _smart(disk: DiskKind, path: str) -> tuple[dict[str, Any], int]:
    protocol = _PROTOCOLS[disk.transport]
    document: dict[str, Any] = {
        "json_format_version": [1, 0], "smartctl": {"version": [7, 3], "exit_status": 0},
        "device": {"name": path, "info_name": path, "type": protocol.lower(), "protocol": protocol},
        "model_name": disk.model, "serial_number": disk.serial, "firmware_version": disk.firmware,
        "user_capacity": {"bytes": disk.size}, "logical_block_size": disk.sector_size,
    }  # fmt: skip
    if disk.transport in ("virtio", "mmc", "usb"):
        document["smartctl"]["exit_status"] = 4
        return document, 4
    document |= {
        "smart_status": {"passed": True},
        "temperature": {"current": 31},
        "power_on_time": {"hours": 1207},
    }
    if protocol == "NVMe":
        document["nvme_smart_health_information_log"] = {
            "critical_warning": 0,
            "temperature": 31,
            "available_spare": 100,
            "percentage_used": 1,
            "media_errors": 0,
        }
    if protocol == "ATA":
        reallocated = {
            "id": 5,
            "name": "Reallocated_Sector_Ct",
            "value": 100,
            "raw": {"value": 0, "string": "0"},
        }
        document["ata_smart_attributes"] = {"revision": 16, "table": [reallocated]}
    return document, 0


async def ipmitool(call: Call) -> int:
    if not call.host.hardware.bmc:
        return await call.fail(
            "Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: No such file or directory"
        )
    if call.args[:2] == ["lan", "print"]:
        mac = call.host.hardware.nics[0].mac[:-2] + "fe"
        return await call.print(
            "Set in Progress         : Set Complete",
            "IP Address Source       : DHCP Address",
            "IP Address              : 192.0.2.10",
            "Subnet Mask             : 255.255.255.0",
            f"MAC Address             : {mac}",
        )
    return await call.print("Manufacturer ID           : 674") if call.args[:2] == ["mc", "info"] else 1


async def ethtool(call: Call) -> int:
    nic = next((one for one in call.host.hardware.nics if one.name == (call.args or [""])[-1]), None)
    if nic is None:
        return await call.fail("No such device", 75)
    if call.args[0] == "-i":
        return await call.print(f"driver: {nic.driver}", f"bus-info: {nic.pci}")
    return await call.print(
        f"Settings for {nic.name}:",
        f"\tSpeed: {nic.speed}Mb/s",
        f"\tLink detected: {'yes' if nic.link else 'no'}",
    )


_MAKERS: Mapping[str, Callable[[Call], Awaitable[int]]] = {
    "lscpu": lscpu,
    "dmidecode": dmidecode,
    "lspci": lspci,
    "ip": ip,
    "smartctl": smartctl,
    "ipmitool": ipmitool,
    "ethtool": ethtool,
}
TOOLS: Mapping[str, Tool] = {name: _captured(tool) for name, tool in _MAKERS.items()}
