"""A systemd unit for `cto serve`, as text: with the options of this command line, and well shut in.

Writes no file and asks systemd nothing.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

STATE = PurePosixPath("/var/lib")
_LOWEST_FREE_PORT = 1024  # below it, a process needs a capability to listen

# What it may not do. Left out: MemoryDenyWriteExecute (libraries that make callbacks at run time), limits to
# addresses (which machines it talks to is what the fleet decides), and ProtectClock: nobody sets a clock
# without CAP_SYS_TIME anyway, and under it the kernel can't be asked whether the clock is right, so that no
# window would open.
_SHUT_IN = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallFilter=adjtimex clock_adjtime
SystemCallErrorNumber=EPERM
RemoveIPC=yes
KeyringMode=private
UMask=0077
LimitCORE=0
LimitNOFILE=65536"""


def unit(program: Path, arguments: Sequence[str], *, home: Path | None, port: int, user: str = "cto") -> str:
    """`home` None: /var/lib/cto, which systemd makes. `arguments`: those of `cto serve`."""
    command = " ".join(_quoted(each) for each in (str(program), "serve", *arguments))
    capabilities = "CAP_NET_BIND_SERVICE" if 0 < port < _LOWEST_FREE_PORT else ""
    return f"""\
[Unit]
Description=Platform-in-a-Box controller
Documentation=man:systemd.exec(5)
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
User={user}
{_home(home, user)}
ExecStart={command}
Restart=on-failure
RestartSec=5
WatchdogSec=60
TimeoutStopSec=60
CapabilityBoundingSet={capabilities}
AmbientCapabilities={capabilities}
{_SHUT_IN}

[Install]
WantedBy=multi-user.target
"""


def _home(home: Path | None, user: str) -> str:
    if home is None:
        return f"StateDirectory={user}\nStateDirectoryMode=0700\nEnvironment=CTO_HOME={STATE / user}"
    path = _quoted(str(home.absolute()))
    return f"Environment={_quoted(f'CTO_HOME={home.absolute()}')}\nReadWritePaths={path}"


def _quoted(word: str) -> str:
    """As systemd.syntax(7) and systemd.service(5) read it: no specifier, no variable, one word."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    shown = plain.replace("\n", "\\n")
    return shown if shown and all(each.isalnum() or each in "/._-:=@+," for each in shown) else f'"{shown}"'
