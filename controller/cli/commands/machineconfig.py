"""`cto machineconfig`: a node's machine configuration as text, and a look over one from elsewhere.

What `render` prints holds the cluster's secrets. Nothing is sent to any machine.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controller.cli.base import App, Noun, load_site_files, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.output import document
from controller.cli.text import clean
from inventory.errors import OperatorError
from inventory.wording import count
from web.ports import EXIT_DONE, EXIT_INPUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facts.machine_model import Hardware
    from inventory.fleet import Cluster, Node
    from roles.machineconfig import Rendered
    from roles.platform import InlineManifest
    from roles.secrets import SecretsBundle

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@verb(
    "render",
    example="cto machineconfig render --site site.yaml --node berlin-cp-1 --facts f.json > cp-1.yaml",
)
@click.option("--site", "files", multiple=True, type=click.Path(path_type=Path), help="Site file or folder.")
@click.option("--node", "name", required=True, help="The node.")
@click.option("--talos", metavar="VERSION", help="For this Talos instead of the site file's.")
@click.option("--facts", "facts", type=_FILE, help="Facts as JSON. Default: the newest in the store.")
@pass_app
def render(app: App, files: tuple[Path, ...], name: str, talos: str | None, facts: Path | None) -> None:
    """Print a node's documents, secrets included, and nothing else. Warnings go to standard error."""
    fleet = load_site_files(app, files).fleet
    node = fleet.nodes.get(name)
    if node is None:
        raise OperatorError(f"there is no node {name!r}", fix=f"use one of: {', '.join(sorted(fleet.nodes))}")
    if talos:
        node = replace(node, image=replace(node.image, talos=_version(talos)))
    with app.services() as services:
        row = services.store.node(name)
        if row is not None:
            node = replace(node, address=node.address or row.address)
        bundle = _bundle(services, node.cluster)
        hardware = _hardware(services, name, facts)
        cluster = fleet.clusters[node.cluster]
        manifests = _manifests(services, node, cluster)
    made = _rendered(node, cluster, bundle, hardware, manifests)
    for reason in made.reasons:
        click.echo(f"note: {clean(reason)}", err=True)
    for warning in made.warnings:
        click.echo(f"warning: {clean(warning)}", err=True)
    click.echo(made.text, nl=False)


def _version(talos: str) -> str:
    """With all three numbers: it becomes the tag of the installer, and there is none called v1.13."""
    plain = talos.removeprefix("v")
    if not re.fullmatch(r"1\.\d+\.\d+(-[a-z]+\.\d+)?", plain):
        raise OperatorError(f"{talos!r} is no Talos version", fix="write all three numbers, such as 1.13.9")
    return plain


def _bundle(services: Any, cluster: str) -> "SecretsBundle":
    from controller.app.bundles import secrets_name
    from controller.app.desired import bundle_of

    if not services.store.has_secret(secrets_name(cluster)):
        raise OperatorError(
            f"cluster {cluster} has no secrets yet",
            fix=f"make them: cto secrets create {cluster}; or bring yours: cto secrets import {cluster} FILE",
        )
    return bundle_of(services, cluster)


def _hardware(services: Any, name: str, path: Path | None) -> "Hardware":
    from controller.app.desired import stored_facts
    from controller.cli.commands.facts import read_facts
    from facts.machine_model import hardware

    found = read_facts(path) if path else stored_facts(services, name)
    if found is None:
        fix = f"gather them: cto facts gather --node {name}; or give a file with --facts"
        raise OperatorError(f"the hardware of {name} is not known", fix=fix)
    return hardware(found)


def _manifests(services: Any, node: "Node", cluster: "Cluster") -> "Mapping[str, InlineManifest]":
    """The files that a control plane carries; the services' part is made only if there are any."""
    from roles import platform
    from roles.registry import role

    carries = role(node.role).control_plane and platform.sources(cluster)
    return services.manifests.of(cluster) if carries else {}


def _rendered(
    node: "Node",
    cluster: "Cluster",
    bundle: "SecretsBundle",
    hardware: "Hardware",
    manifests: "Mapping[str, InlineManifest]",
) -> "Rendered":
    from facts import hardware as profiles
    from roles import disks, machineconfig
    from roles.registry import role

    named = node.hardware_profile
    match = profiles.named(named, hardware) if named else profiles.match(hardware)
    choice = disks.choose(
        node.disk,
        hardware,
        minimum=role(node.role).disk.minimum,
        preference=match.profile.disk,
        where=node.name,
    )
    return machineconfig.render(
        node, cluster, bundle, choice, hardware=hardware, profile=match.profile, files=manifests
    )


@verb("validate", example="cto machineconfig validate cp-1.yaml --talos 1.13.9")
@click.argument("file", type=_FILE)
@click.option("--talos", required=True, metavar="VERSION", help="The Talos it is for.")
@pass_app
def validate(app: App, file: Path, talos: str) -> int:
    """Look over a machine configuration; says what only Talos itself can judge."""
    from roles.config_check import NOT_JUDGED, problems
    from roles.talos_version import contract_of

    found = problems(read_text(file), contract_of(talos))
    if app.json:
        document({"file": str(file), "talos": talos, "problems": found, "not_judged": NOT_JUDGED})
    else:
        for problem in found:
            click.echo(f"{clean(str(file))}: {clean(problem)}")
        click.echo(f"{count(len(found), 'problem')} found" if found else "nothing wrong was found")
        click.echo(f"not judged here: {NOT_JUDGED}")
    return EXIT_INPUT if found else EXIT_DONE


machineconfig = Noun("machineconfig", help="A node's machine configuration: print it, look one over.").add(
    render, validate
)
