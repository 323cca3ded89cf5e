"""Which systemd units the environment starts, and which it never does. Everything not named here is off."""

# What the packages enabled is removed first, so these are all.
ENABLED = {
    "multi-user.target": (
        "systemd-networkd.service",
        "systemd-resolved.service",
        "ssh.service",
        "avahi-daemon.service",
        "cto-status.service",
        "cto-enroll.service",
    ),
    "sysinit.target": ("cto-hostkey.service", "cto-identity.service", "systemd-timesyncd.service"),
}

# Started by links that systemd ships: consoles we own, buses nobody uses, state that RAM forgets anyway.
MASKED = (
    "autovt@.service",
    "console-getty.service",
    "dbus.service",
    "dbus.socket",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
    "kexec.service",
    "kexec-load.service",
    "getty@tty1.service",
    "getty-static.service",
    "proc-sys-fs-binfmt_misc.automount",
    "serial-getty@ttyS0.service",
    "serial-getty@ttyS1.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-journal-flush.service",
    "systemd-logind.service",
    "systemd-machine-id-commit.service",
    "systemd-networkd-wait-online.service",
    "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-sysusers.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-user-sessions.service",
)
DEFAULT_TARGET = "multi-user.target"
