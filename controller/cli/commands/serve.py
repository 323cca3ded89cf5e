"""`cto serve`: the engine and the pages until Ctrl-C. Beyond this computer only by TLS."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controller.cli.base import App, command, pass_app
from controller.cli.loop import on_loop
from controller.cli.output import line
from inventory.errors import OperatorError
from web.ports import EXIT_DONE

if TYPE_CHECKING:
    from controller.adapters.web_certificate import Certificate
    from controller.app.serve import Listen

_file = click.Path(path_type=Path, dir_okay=False, exists=True)


@command("serve", example="cto serve --port 8180\ncto serve --listen 0.0.0.0 --name cto.example --port 8443")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8180, show_default=True, help="0: any free one."
)
@click.option("--listen", "host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="Host name people use; may be repeated.")
@click.option("--cert", type=_file, help="Certificate chain (PEM). Default: one of our own making.")
@click.option("--key", type=_file, help="Its private key (PEM).")
@click.option("--systemd-unit", "as_unit", is_flag=True, help="Print a unit for systemd with these options.")
@pass_app
def serve(
    app: App,
    port: int,
    host: str,
    names: tuple[str, ...],
    cert: Path | None,
    key: Path | None,
    as_unit: bool,
) -> int:
    """Run the controller and its pages until Ctrl-C, and print a link that logs in once.

    Beyond this computer it is served by TLS only. Exit code 3 if another engine is at work already.
    """
    import asyncio

    from controller.adapters.service_manager import ServiceManager
    from controller.app.serve import serve as run
    from controller.cli.logs import to_stderr
    from web.asgi import build

    if as_unit:
        click.echo(_unit(app, port, host, names, cert, key), nl=False)
        return EXIT_DONE
    to_stderr()
    manager = ServiceManager(app.environ)
    with app.services() as services:
        certificate = _certificate(services, app, host, names, cert, key)
        listen = _listen(host, port, certificate)
        hosts = _hosts(host, names)

        def started(url: str) -> None:
            _tell(app, services, listen, url, certificate)
            manager.ready()

        ending = asyncio.Event()
        pages = build(services.backend, hosts=hosts, secure=listen.secure, ending=ending)
        name = names[0] if names else ""
        on_loop(
            services,
            lambda: run(
                services, pages, listen=listen, started=started, name=name, beat=manager.beat, ending=ending
            ),
        )
        manager.stopping()
    return EXIT_DONE


def _unit(app: App, port: int, host: str, names: tuple[str, ...], cert: Path | None, key: Path | None) -> str:
    from controller.cli.systemd_unit import unit

    named = [word for name in names for word in ("--name", name)]
    files = [(option, str(file.absolute())) for option, file in (("--cert", cert), ("--key", key)) if file]
    arguments = ["--listen", host, *named, "--port", str(port), *(word for pair in files for word in pair)]
    home = app.home or (Path(given) if (given := app.environ.get("CTO_HOME")) else None)
    return unit(Path(sys.executable).with_name("cto"), arguments, home=home, port=port)


def _hosts(host: str, names: tuple[str, ...]) -> list[str]:
    """The names under which the pages may be asked for."""
    from controller.app.serve import is_loopback
    from web.app import LOOPBACK_HOSTS

    own = [] if host in ("0.0.0.0", "::") else [f"[{host}]" if ":" in host else host]  # noqa: S104 - only compared
    return [*dict.fromkeys([*(LOOPBACK_HOSTS if is_loopback(host) or not own else ()), *own, *names])]


def _certificate(
    services: Any, app: App, host: str, names: tuple[str, ...], cert: Path | None, key: Path | None
) -> "Certificate | None":
    from controller.adapters.web_certificate import ensure_certificate, given_certificate
    from controller.app.serve import is_loopback

    if (cert is None) != (key is None):
        raise OperatorError("a certificate and its key go together", fix="name both --cert and --key")
    if cert is not None and key is not None:
        return given_certificate(cert, key)
    if is_loopback(host):
        return None
    if not names and host in ("0.0.0.0", "::"):  # noqa: S104 - only compared
        raise OperatorError(
            "requests for unknown names are refused, so the name that people type is needed",
            fix="add --name cto.example, or the address with --name 10.0.0.5; it may be repeated",
        )
    found = [name.strip("[]") for name in _hosts(host, names)]
    return ensure_certificate(services.home.create().web, found, app.now())


def _listen(host: str, port: int, certificate: "Certificate | None") -> "Listen":
    from controller.app.serve import Listen

    if certificate is None:
        return Listen(host, port)
    return Listen(host, port, certificate.crt, certificate.key)


def _tell(app: App, services: Any, listen: "Listen", url: str, certificate: "Certificate | None") -> None:
    """Where it is, and how to get in. A code goes to a terminal only: never to a log."""
    from controller.app.people_admin import first_code

    if app.json:
        line({"url": url, **({"fingerprint": certificate.fingerprint} if certificate else {})})
        return
    click.echo(f"Serving at {url} (Ctrl-C ends it; nothing is lost)")
    if certificate is not None and certificate.own:
        click.echo(f"  its certificate, SHA-256: {certificate.fingerprint}")
    if not sys.stdout.isatty():
        click.echo("  a link that logs in: cto user code")
        return
    code, account = first_code(services, loopback=listen.loopback, actor=app.actor())
    if code:
        click.echo(f"  logs in as {account}, once: {url}enter#{code}")
