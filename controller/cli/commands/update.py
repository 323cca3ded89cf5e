"""`cto update`: trusts a publisher, looks for releases, puts one ready. Installs nothing: a rollout does."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import byte_rate
from controller.cli.base import App, Noun, assume_yes, complete_clusters, confirm, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.output import document, human_bytes, table
from controller.cli.text import clean, clean_block
from controller.core.release.document import CHANNELS
from inventory.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.app.updates import Known


@verb("trust", example="cto update trust root.json --url https://releases.example/feed")
@click.argument("root", metavar="ROOT", type=click.Path(path_type=Path))
@click.option("--url", required=True, metavar="URL", help="Where the feed is: an address, or a folder.")
@click.option("--channel", default="stable", show_default=True, help="stable, beta or edge.")
@click.option(
    "--every", type=int, metavar="HOURS", help="How often to look by itself; 0: never. At first 24."
)
@assume_yes
@pass_app
def trust(app: App, /, *, root: Path, url: str, channel: str, every: int | None, yes: bool) -> None:
    """Take releases from a publisher. Compare the ids of the keys with what the publisher told you."""
    from controller.app import feed_looks, updates

    text = read_text(root)
    with app.services() as services:
        threshold, keys = services.feeds.root_keys(text.encode())
        shown = "\n".join(f"  {key}" for key in keys)
        confirm(f"Accept what {threshold} of these keys sign?\n{shown}\n", yes=yes)
        updates.trust(services, absolute(url), channel, text.encode(), actor=app.actor())
        if every is not None:
            feed_looks.schedule(services, every, actor=app.actor())
    if app.json:
        document({"url": url, "channel": channel, "threshold": threshold, "keys": list(keys)})
    else:
        click.echo(f"releases come from {url}, channel {channel}; see `cto update check`")


@verb("check", example="cto update check")
@click.option("--from", "source", default="", metavar="URL", help="Look here instead: a bundle, a mirror.")
@pass_app
def check(app: App, source: str) -> None:
    """Ask the feed what there is. Whatever is old, changed or signed wrongly is refused."""
    from controller.app import updates

    with app.services() as services:
        found = updates.check(services, url=absolute(source))
    if app.json:
        document({"new": list(found.new), "releases": [_plain(each) for each in found.known]})
        return
    click.echo(f"new: {', '.join(map(clean, found.new))}" if found.new else "nothing new")
    _show(found.known)


@verb("schedule", example="cto update schedule --every 0")
@click.option("--every", type=int, default=24, show_default=True, metavar="HOURS", help="0: never.")
@pass_app
def schedule(app: App, every: int) -> None:
    """How often `cto serve` looks at the feed by itself. It only looks: nothing is fetched or installed."""
    from controller.app import feed_looks

    with app.services() as services:
        feed_looks.schedule(services, every, actor=app.actor())
    if app.json:
        document({"every_hours": every})
    elif every:
        click.echo(f"cto serve looks at the feed every {count(every, 'hour')}, give or take a tenth")
    else:
        click.echo("the feed is looked at only when somebody says `cto update check`")


_channel = click.option(
    "--channel", type=click.Choice(CHANNELS), help="Another one than the feed's, as update policies name."
)


@verb("list", example="cto update list --channel beta")
@_channel
@pass_app
def list_releases(app: App, channel: str | None) -> None:
    """The releases that are known, and which lie ready. Asks nobody."""
    from controller.app import updates

    with app.services() as services:
        found = updates.known(services, channel or "")
    if app.json:
        document([_plain(each) for each in found])
    else:
        _show(found)


@verb("show", example="cto update show talos-1.13.9")
@click.argument("name", metavar="RELEASE")
@_channel
@pass_app
def show(app: App, name: str, channel: str | None) -> None:
    """One release: what is new in it, and its files."""
    from controller.app import updates

    with app.services() as services:
        found = updates.one(services, name, channel or "")
    if app.json:
        document(_plain(found))
        return
    _show([found])
    for artifact in found.release.artifacts:
        click.echo(f"  {clean(artifact.target)}  {clean(artifact.url)}")
    if found.release.notes:
        click.echo("\n" + clean_block(found.release.notes))


@verb("stage", example="cto update stage talos-1.13.9 --limit 10MiB")
@click.argument("name", metavar="RELEASE")
@click.option("--from", "source", default="", metavar="URL", help="Take it from here: a bundle, a mirror.")
@click.option(
    "--limit", callback=byte_rate.option_value, metavar="RATE", help="Bytes a second at most, such as 10MiB."
)
@_channel
@pass_app
def stage(app: App, name: str, source: str, limit: int | None, channel: str | None) -> None:
    """Fetch the files of a release before any window opens, so that nothing is fetched in it."""
    from controller.app import staging
    from controller.app.pacing import Pace
    from controller.cli.transfers import Transfers

    with app.services() as services, Transfers(quiet=app.json) as shown:
        report = Pace(limit).limited(shown.update) if limit else shown.update
        paths = staging.stage(
            services, name, report, actor=app.actor(), url=absolute(source), channel=channel or ""
        )
    total = sum(path.stat().st_size for path in paths)
    if app.json:
        document({"release": name, "files": [str(path) for path in paths], "bytes": total})
    else:
        click.echo(f"{name} lies ready: {count(len(paths), 'file')}, {human_bytes(total)}")


@verb("mirror", example="cto update mirror berlin")
@click.argument("cluster", metavar="CLUSTER", shell_complete=complete_clusters)
@click.option("--off", is_flag=True, help="Keep it no longer; what is in the cluster stays.")
@pass_app
def mirror(app: App, cluster: str, off: bool) -> None:
    """Keep a PlatformUpdate object in a cluster: kubectl shows versions, windows and rollouts there."""
    with app.services() as services:
        services.store.set_mirror(cluster, on=not off, actor=app.actor())
    if app.json:
        document({"cluster": cluster, "mirror": not off})
    elif off:
        click.echo(f"{cluster}: its PlatformUpdate is no longer kept")
    else:
        click.echo(f"{cluster}: cto serve keeps it; see `kubectl get platformupdate` there")


@verb("proposals", example="cto update proposals")
@click.option("--close", "number", type=int, metavar="ID", help="Close one that was looked at.")
@pass_app
def proposals(app: App, number: int | None) -> None:
    """What people wrote into PlatformUpdate objects. Nothing of it is done unless you order it."""
    with app.services() as services:
        if number is not None:
            services.store.close_proposal(number, actor=app.actor())
        found = services.store.proposals()
        troubled = [row for row in services.store.mirrors() if row.problem]
    if app.json:
        from dataclasses import asdict

        document([asdict(each) for each in found])
        return
    for row in troubled:
        click.echo(f"! {row.cluster}: {clean(row.problem)}")
    if not found:
        click.echo("no open proposals")
    for each in found:
        wanted = ", ".join(f"{key}={value!r}" for key, value in each.body.items())
        click.echo(f"{each.id}  {each.cluster}  {each.seen_at}  by {clean(each.by)}: {clean(wanted, 300)}")


def absolute(url: str) -> str:
    """A folder is kept as a whole path: the next command may run elsewhere."""
    return url if not url or "://" in url else str(Path(url).expanduser().absolute())


def _plain(each: "Known") -> dict[str, object]:
    from dataclasses import asdict

    return {
        **asdict(each.release),
        "name": each.release.name,
        "staged_at": each.staged_at,
        "allowed": each.allowed,
    }


def _show(found: "Sequence[Known]") -> None:
    if not found:
        click.echo("no releases are known")
        return
    rows = [
        (
            clean(each.release.name),
            each.release.kind,
            ", ".join(each.release.upgrades) or "any",
            "withdrawn" if not each.allowed else "ready" if each.staged_at else "not staged",
        )
        for each in found
    ]
    table(("RELEASE", "KIND", "FROM", "STATE"), rows)


update = Noun("update", help="Releases: trust a publisher, look, put ready.").add(
    trust, check, schedule, list_releases, show, stage, mirror, proposals
)
