"""Settings of a bootstrap environment: one look per machine, a pyinfra job only where something differs."""

import secrets

from controller.app.context import NodeJob
from controller.app.jobs import run_deploy
from controller.app.services import Services
from controller.app.ssh_port import Target
from facts import script
from facts.spec import FactError
from inventory.errors import CommandFailed
from roles.settings import Setting, declared, to_data
from roles.settings_probe import CAP, difference, probe


async def deviations(services: Services, target: Target, wanted: tuple[Setting, ...]) -> tuple[Setting, ...]:
    """Those that do not hold on the machine now. One round trip; none where nothing is wanted."""
    if not wanted:
        return ()
    spec, boundary = probe(wanted), secrets.token_hex(16)
    done = await services.ssh.run(
        target,
        script.build([spec], boundary=boundary),
        deadline=script.deadline([spec]),
        max_bytes=2 * CAP,
    )
    raw = script.split(done.stdout, [spec], boundary, stderr=done.stderr).get(spec.name)
    try:
        return difference(wanted, script.read(spec, raw))
    except FactError as error:
        what = f"its settings can't be read: {error.what}"
        fix = "check that its login shell is a POSIX shell with sha256sum, stat and grep"
        raise CommandFailed(what, where=target.name, fix=fix) from error


def wanted_by(job: NodeJob) -> tuple[Setting, ...]:
    return declared(job.node.bootstrap)


async def settle(job: NodeJob) -> int:
    """Brings about what differs; how many settings that were. Observing again is the caller's."""
    found = await deviations(job.services, job.target, wanted_by(job))
    if found:
        await run_deploy(job, "settings", {"settings": to_data(found)})
    return len(found)
