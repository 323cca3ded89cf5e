"""`cto lab`: simulated machines to practise on, faults included. The simulation itself is `iso.lab`."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from controller.cli.base import App, Noun, pass_app
from controller.cli.base import command as verb
from controller.cli.lab_options import check_combination
from controller.cli.output import document, plain, table
from controller.cli.text import clean
from inventory.errors import OperatorError
from inventory.wording import count


@verb("up", example="cto lab up --sites 2 --nodes 4\ncto lab up --qemu --nodes 3 --hardware dell-r660")
@click.option("--sites", type=click.IntRange(1, 50), default=1, show_default=True, help="How many sites.")
@click.option("--nodes", type=click.IntRange(1, 200), default=4, show_default=True, help="Machines per site.")
@click.option("--mixed", metavar="N,N,…", help="Machines of each site, instead of --sites and --nodes.")
@click.option("--seed", default="", help="Same seed, same machines and addresses. Default: from the home.")
@click.option(
    "--hardware",
    multiple=True,
    metavar="KIND",
    help="These kinds of machine, in turn; may be repeated. With --qemu also a YAML file.",
)
@click.option(
    "--boot-seconds",
    type=click.FloatRange(0, 600),
    default=0.5,
    show_default=True,
    help="How long booting takes.",
)
@click.option("--talos", metavar="VERSION", help="The Talos of its images, such as 1.14.1. Default: 1.13.9.")
@click.option("--qemu", is_flag=True, help="Virtual machines that boot the image, instead (needs root).")
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    default=Path("cto.iso"),
    show_default=True,
    help="For --qemu: what `cto iso build` made.",
)
@click.option("--memory", type=click.IntRange(1024), default=4096, show_default=True, help="MiB, for --qemu.")
@click.option(
    "--disk-image",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What --qemu installs, instead of the factory's Talos.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 7200),
    default=900,
    show_default=True,
    help="Seconds --qemu waits for its machines' keys, to pin them; 0: not at all.",
)
@click.option("--enroll", is_flag=True, help="Pin nothing: each machine gets a token and asks to join.")
@pass_app
def up(app: App, /, **options: Any) -> None:
    """Start simulated machines and pin their host keys. A lab that runs already is left as it is."""
    check_combination(click.get_current_context(), qemu=options["qemu"])
    if options["qemu"]:
        from controller.cli.lab_virtual import Asked
        from controller.cli.lab_virtual import up as virtual

        names = ("image", "nodes", "memory", "hardware", "disk_image", "wait")
        virtual(app, Asked(**{name: options[name] for name in names}, talos=options["talos"] or ""))
        return
    _simulated(app, options)


def _simulated(app: App, options: Mapping[str, Any]) -> None:
    from controller.app.lab import TALOS, lab_site_file, lab_up

    mixed, enroll = options["mixed"], options["enroll"]
    counts = _counts(mixed) if mixed is not None else [options["nodes"]] * options["sites"]
    with app.services() as services:
        services.home.create()
        info = lab_up(
            services,
            counts,
            seed=options["seed"],
            hardware=options["hardware"],
            boot_seconds=options["boot_seconds"],
            talos=(options["talos"] or TALOS).removeprefix("v"),
            enroll=enroll,
        )
        file = lab_site_file(services.home.root)
    if app.json:
        document({"pid": info.pid, "machines": len(info.machines), "site_file": str(file)})
        return
    click.echo(f"{count(len(info.machines), 'machine')} at {count(len(counts), 'site')} (pid {info.pid})")
    if enroll:
        click.echo("  → cto enroll open --interface 127.0.0.1, and approve them in another terminal")
    click.echo(f"  → cto apply -f {shlex.quote(str(file))}")


def _qemu_status(app: App, services: Any) -> bool:
    """Shows the virtual machines; False if there are none."""
    from controller.cli.lab_virtual import folder_of
    from iso.qemu import lab as virtual

    found = virtual.status(folder_of(services))
    if not found:
        return False
    if app.json:
        document([plain(machine) for machine in found])
        return True
    rows = [(vm.name, vm.state, vm.address, vm.words, vm.work) for vm in found]
    table(("MACHINE", "STATE", "ADDRESS", "KEY WORDS", "WORK"), rows)
    return True


def _counts(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdigit() and 0 < int(part) <= 200 for part in parts):
        raise OperatorError(f"{text!r} is not a list of machine counts", fix="write it as --mixed 4,1")
    return [int(part) for part in parts]


@verb("down", example="cto lab down")
@pass_app
def down(app: App) -> None:
    """Stop the simulated machines; their disks are removed with them."""
    from controller.cli.lab_virtual import folder_of
    from iso.lab import client
    from iso.qemu import lab as virtual

    with app.services() as services:
        machines = [machine.name for machine in virtual.status(folder_of(services))]
        ended = virtual.down(folder_of(services))
        _give_up(services, machines, actor=app.actor())
        running = client.info(services.home.root)
        client.stop(services.home.root)
        if running is not None:
            _give_up(services, [machine.name for machine in running.machines], actor=app.actor())
    if app.json:
        document({"stopped": ended or running is not None})
    else:
        click.echo("stopped" if ended or running is not None else "no lab is running")


def _give_up(services: Any, names: Sequence[str], *, actor: str) -> None:
    """The machines are gone with their disks: the store must not go on believing in them."""
    from inventory.lifecycle import ClusterState, NodeState

    store, reason = services.store, "its simulated machine was removed"
    rows = [row for row in (store.node(name) for name in names) if row is not None]
    for row in rows:
        if row.state not in (NodeState.DECLARED, NodeState.RESET):
            store.move(row.name, NodeState.RESET, reason=reason, actor=actor)
    for name in dict.fromkeys(row.cluster for row in rows):
        cluster = store.cluster(name)
        if cluster is not None and cluster.state is not ClusterState.PLANNED:
            store.move_cluster(name, ClusterState.PLANNED, reason=reason, actor=actor)


@verb("status", example="cto lab status")
@click.option("--console", metavar="NAME", help="What this machine's screen shows.")
@pass_app
def status(app: App, console: str | None) -> None:
    """List the simulated machines."""
    if console is None:
        with app.services() as services:
            if _qemu_status(app, services):
                return
    machines = _info(app).machines
    if console is not None:
        machine = next((item for item in machines if item.name == console), None)
        if machine is None:
            raise OperatorError(f"no machine {console!r} in the lab", fix="see cto lab status")
        document(plain(machine)) if app.json else click.echo(_console(machine))
        return
    if app.json:
        document([plain(machine) for machine in machines])
        return
    rows = [
        (m.name, m.site, m.cluster, m.role, m.hardware, m.state, f"{m.address}:{m.ssh_port}")
        for m in machines
    ]
    table(("MACHINE", "SITE", "CLUSTER", "ROLE", "HARDWARE", "STATE", "SSH"), rows)


def _console(machine: Any) -> str:
    from controller.cli.text import clean_block

    return clean_block(machine.console)


def _kinds(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from iso.lab.faults import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


@verb(
    "fault",
    example="cto lab fault kn-cp-1 power-cut --set bytes=1000000\ncto lab fault kn-w-1 slow --times 5",
)
@click.argument("machine")
@click.argument("kind", shell_complete=_kinds)
@click.option(
    "--times", type=click.IntRange(0), default=1, show_default=True, help="How often; 0: until clear."
)
@click.option("--set", "options", multiple=True, metavar="KEY=VALUE", help="Details of the fault.")
@pass_app
def fault(app: App, machine: str, kind: str, times: int, options: tuple[str, ...]) -> None:
    """Tell a simulated machine to fail in the way KIND names; a wrong KIND lists all of them."""
    from iso.lab.faults import KINDS

    if kind not in KINDS:
        listed = "\n".join(f"  {name:<16} {what}" for name, what in KINDS.items())
        raise OperatorError(f"the lab knows no fault {kind!r}", fix=f"choose one of:\n{listed}")
    details = _options(options)
    order = {"op": "fault", "machine": machine, "kind": kind, "times": times, "options": details}
    answer = _order(app, order)
    if app.json:
        document(plain(answer))
        return
    lasting = times == 0 or kind == "spoof"  # an announcement is not used up
    often = "until cleared" if lasting else "once" if times == 1 else f"{times} times"
    click.echo(f"{clean(machine)}: {kind}, {often}\n  → take it back: cto lab clear {clean(machine)}")


@verb("clear", example="cto lab clear kn-cp-1\ncto lab clear kn-cp-1 refuse")
@click.argument("machine")
@click.argument("kind", required=False, default="", shell_complete=_kinds)
@pass_app
def clear(app: App, machine: str, kind: str) -> None:
    """Take back the faults of a simulated machine, or only those of one KIND."""
    answer = _order(app, {"op": "clear", "machine": machine, "kind": kind})
    if app.json:
        document(plain(answer))
    else:
        click.echo(f"{clean(machine)}: {len(answer.get('faults', ()))} faults left")


@verb("power", example="cto lab power kn-cp-2 off")
@click.argument("machine")
@click.argument("action", type=click.Choice(["on", "off"]))
@pass_app
def power(app: App, machine: str, action: str) -> None:
    """Switch a simulated machine off, as by its plug, or on again."""
    answer = _order(app, {"op": "power", "machine": machine, "action": action})
    if app.json:
        document(plain(answer))
    else:
        click.echo(f"{clean(machine)}: power {action}")


def _order(app: App, order: dict[str, Any]) -> Any:
    from iso.lab import client

    _info(app)
    with app.services() as services:
        return client.command(services.home.root, order)


def _options(texts: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; a value that is JSON (a number, true) becomes that."""
    found: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise OperatorError(f"{text!r} is not KEY=VALUE", fix="write it as --set after=1000000")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def _info(app: App) -> Any:
    from iso.lab import client

    with app.services() as services:
        found = client.info(services.home.root)
    if found is None:
        raise OperatorError("no lab is running", fix="start one: cto lab up --sites 2 --nodes 4")
    return found


lab = Noun("lab", help="Simulated machines to practise on.").add(up, down, status, fault, clear, power)
