"""Every way to be refused, with a message and a next step of its own. The machine is told none of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """`other`: which node or enrolment is contradicted, where there is one."""

    reason: str
    what: str
    fix: str


_REASONS: dict[str, tuple[str, str]] = {
    "malformed": (
        "it sent what is no message of enrolment",
        "if this is a machine of yours, use the same release on both sides; else find out who it is",
    ),
    "order": ("it sent a message at the wrong time", "the machine begins again by itself"),
    "token": ("it named a token that does not exist", "make one with `cto token create`"),
    "guess": (
        "it does not know the token's secret: somebody guesses, or the token was mistyped",
        "check the token on the machine; if it is right there, somebody else tries",
    ),
    "relay": (
        "its proof was made for another TLS key: somebody stands between this machine and us, or changed it",
        "find out whose address this is; the machine itself refuses a controller with another key",
    ),
    "replay": (
        "it sent again what a machine sent before on another connection",
        "find out whose address this is: it listened to, or is, a machine that enrolled",
    ),
    "key": ("its node key or SSH host key is no good key", "start the machine anew"),
    "signature": (
        "it knows the token, and lacks the private half of the key that it shows",
        "look at this machine; revoke the token, which somebody else may know",
    ),
    "expired": ("its token is right and expired", "make another: cto token create"),
    "revoked": ("its token is right and was revoked", "make another: cto token create"),
    "used": (
        "its token is right and has no use left",
        "make another: cto token create; or give the use back: cto enroll reject ID --again",
    ),
    "reuse": (
        "a second machine proved a token whose uses are taken ({other} has it)",
        "if {other} was started anew: cto enroll reject (or forget) {other} --again; else look at both",
    ),
    "changed-keys": (
        "it claims to be the hardware of {other} and shows other keys",
        "if that machine was started anew or exchanged: cto enroll forget {other}; else somebody poses as it",
    ),
    "full": (
        "too many machines wait for a decision already",
        "approve or reject some: cto enroll list",
    ),
    "oversize": ("it sent more than a message may hold", "find out who this is; no machine of ours does so"),
    "slow": (
        "it said nothing, or not enough, in time",
        "check its network; if it does so often, somebody holds connections open",
    ),
    "left": (
        "it left without a word after it saw our key",
        "if it is a machine of yours, its image is for another controller: build it anew",
    ),
    "tls": ("it did not complete TLS 1.3", "find out who this is; machines of ours do"),
    "flood": ("it came too often", "wait a minute; if it goes on, look for that address"),
}


def refusal(reason: str, *, other: str = "", detail: str = "") -> Refusal:
    what, fix = _REASONS[reason]
    said = f"{what}: {detail}" if detail else what
    return Refusal(reason, said.replace("{other}", other), fix.replace("{other}", other))
