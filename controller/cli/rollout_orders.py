"""What people order of a rollout that is under way: pause, resume, abort, cancel, approve, withdraw.

`cto rollout` shows and begins them; who may order what, and what follows, is decided by the use cases.
"""

from typing import Any

import click

from controller.cli.base import App, complete_from, pass_app
from controller.cli.base import command as verb
from controller.cli.output import document
from controller.cli.text import clean
from inventory.errors import OperatorError
from web.ports import EXIT_DONE

REASON = click.option("--reason", required=True, help="Why; kept in the audit log.")
ID = click.argument(
    "rollout",
    required=False,
    default="",
    shell_complete=complete_from(lambda q: [r.id for r in q.rollouts()]),
)


def under_way(services: Any, rollout: str) -> str:
    """The one that was named, or the only one."""
    if rollout:
        return str(services.store.rollout(rollout).id)
    found = [row.id for row in services.store.open_rollouts()]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise OperatorError(f"{len(found)} rollouts are under way", fix=f"name one: {', '.join(found)}")
    raise OperatorError("no rollout is under way", fix="cto rollout start --talos VERSION --reason …")


def _order(app: App, rollout: str, word: str, reason: str, said: str, **about: Any) -> int:
    """Leaves the order for the engine; where none is at work, it is noted in the state at once."""
    from controller.app.rollout_engine import obey_now
    from controller.app.rollout_orders import ALONE, order

    if not reason.strip():
        raise OperatorError("a reason is needed", fix='add --reason "…": the audit log keeps it')
    with app.services() as services:
        rollout = under_way(services, rollout)
        remote = getattr(services, "remote", False)
        if remote:
            services.store.order_rollout(rollout, word, actor=app.actor(), reason=reason, **about)
        else:
            word = order(services, rollout, word, actor=app.actor(), reason=reason, **about)
        taken = remote or not obey_now(services, rollout)
        view = services.queries.rollout(rollout)
    if app.json:
        document({"rollout": rollout, "verb": word, "engine": taken, "status": view.status})
        return EXIT_DONE
    click.echo(f"rollout {rollout}: {said}")
    if word == ALONE:
        click.echo("  → nobody else could approve it: it counts after ten minutes in which the engine runs")
        click.echo(f"  → until then: cto rollout withdraw {rollout} --wave {about['wave'] + 1} --reason …")
    if not taken and not view.over:
        click.echo(f"  → no engine is at work: cto rollout start {rollout} goes on with what is under way")
    return EXIT_DONE


def _simple(word: str, said: str, text: str) -> click.Command:
    @verb(word, example=f'cto rollout {word} --reason "…"', help=text)
    @ID
    @REASON
    @pass_app
    def order(app: App, rollout: str, reason: str) -> int:
        return _order(app, rollout, word, reason, said)

    return order


pause = _simple(
    "pause", "nothing new begins; what is under way is finished", "Begin no other node until `resume`."
)
resume = _simple(
    "resume", "goes on; every gate is asked again", "Go on after a pause; all gates are asked again."
)
abort = _simple(
    "abort",
    "what has nothing installed yet is left as it was; the rest is finished and verified",
    "End a rollout: finish and verify what is under way, begin nothing more.",
)


@verb("cancel", example='cto rollout cancel --cluster oslo --reason "moves next week"')
@ID
@click.option("--cluster", required=True, metavar="NAME", help="One that was not begun.")
@REASON
@pass_app
def cancel(app: App, rollout: str, cluster: str, reason: str) -> int:
    """Leave one cluster out that was not begun yet."""
    return _order(app, rollout, "cancel", reason, f"{clean(cluster)} is left out", cluster=cluster)


@verb("approve", example='cto rollout approve --wave 1 --reason "the canary looks good"')
@ID
@click.option("--wave", type=click.IntRange(1), required=True, help="Its number.")
@REASON
@pass_app
def approve(app: App, rollout: str, wave: int, reason: str) -> int:
    """Agree to a wave, where the policy asks for that or the first wave is large.

    Whoever started the rollout can't. Where there is nobody else, it counts after ten minutes.
    """
    return _order(app, rollout, "approve", reason, f"wave {wave} is approved", wave=wave - 1)


@verb("withdraw", example='cto rollout withdraw --wave 2 --reason "wait for the new kernel"')
@ID
@click.option("--wave", type=click.IntRange(1), required=True, help="Its number.")
@REASON
@pass_app
def withdraw(app: App, rollout: str, wave: int, reason: str) -> int:
    """Take the approval of a wave back that was not begun."""
    return _order(app, rollout, "withdraw", reason, f"wave {wave} waits for approval", wave=wave - 1)
