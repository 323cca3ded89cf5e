"""Small pieces of sentences for people: a number with its noun, where a machine is reached. English only."""

from inventory.reach import SSH_PORT


def count(number: int, noun: str, plural: str = "") -> str:
    """1 node, 2 nodes, 0 nodes."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def reached_at(address: str, port: int = SSH_PORT, jump: str = "") -> str:
    """10.0.0.11, 10.0.0.11:2222, [fd00::1]:2222 through ops@gate. Empty without an address."""
    if not address:
        return ""
    host = f"[{address}]" if ":" in address and port != SSH_PORT else address
    where = host if port == SSH_PORT else f"{host}:{port}"
    return f"{where} through {jump}" if jump else where
