"""What a browser sees on the loopback interface."""

import asyncio
import contextlib

from zeroconf import IPVersion, ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from iso.lab.mdns import SERVICE


class Browser:
    def __init__(self, zeroconf):
        self.zeroconf = zeroconf.zeroconf
        self.present = set()
        self.left = set()

    def changed(self, zeroconf, service_type, name, state_change):
        instance = name.removesuffix("." + SERVICE)
        if state_change is ServiceStateChange.Removed:
            self.present.discard(instance)
            self.left.add(instance)
        else:
            self.present.add(instance)

    async def resolve(self, instance):
        info = AsyncServiceInfo(SERVICE, f"{instance}.{SERVICE}")
        assert await info.async_request(self.zeroconf, 5000)
        return info


@contextlib.asynccontextmanager
async def browser():
    zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
    found = Browser(zeroconf)
    browsing = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[found.changed])
    try:
        yield found
    finally:
        await browsing.async_cancel()
        await zeroconf.async_close()


async def test_machines_are_seen_and_say_goodbye(lab, until):
    running = await lab(mixed=(4,))
    assert running.problems == []
    machines = list(running.machines.values())
    names = {machine.instance for machine in machines}
    async with browser() as seen:
        await until(lambda: seen.present >= names)
        info = await seen.resolve(machines[0].instance)
        assert (info.parsed_addresses(), info.port) == ([machines[0].address], machines[0].ssh_port)
        assert info.decoded_properties == {"v": "1", "enroll_id": machines[0].enroll_id}
        await machines[0].power_off()
        await until(lambda: machines[0].instance in seen.left)
        await machines[0].power_on()
        await until(lambda: machines[0].instance in seen.present)


async def test_a_spoofed_answer_has_the_same_name_and_another_address(lab, until):
    running = await lab(mixed=(1,))
    machine = next(iter(running.machines.values()))
    async with browser() as seen:
        await until(lambda: machine.instance in seen.present)
        await running.mdns.spoof(machine.instance, "127.66.66.66", 2222, machine.enroll_id)
        addresses = set()
        while "127.66.66.66" not in addresses:
            addresses |= set((await seen.resolve(machine.instance)).parsed_addresses())
            await asyncio.sleep(0.05)
