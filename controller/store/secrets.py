"""Secrets in the store, always sealed. The key comes from the home's key file, made with the first store."""

from controller.store import audit
from controller.store.base import StoreBase
from controller.store.rows import SecretInfo
from controller.store.secretbox import SealKey, Secret, SecretBox
from inventory.errors import RefusedError, StoreError


class SecretsChapter(StoreBase):
    def put_secret(self, name: str, plaintext: bytes, *, actor: str = "engine", once: bool = False) -> None:
        """Seals and keeps `plaintext`, in place of an earlier value.

        `once` refuses another value under a known name: for what can't be made again, such as a CA.
        """
        box = self._box()
        sealed = box.seal(plaintext, table="secrets", pk=name, column="sealed")
        with self._unit() as unit:
            known = unit.one("SELECT sealed FROM secrets WHERE name = ?", [name])
            if known is not None:
                if box.open(known["sealed"], table="secrets", pk=name, column="sealed") == plaintext:
                    return
                if once:
                    raise RefusedError(
                        "there is a different secret of this name, and it can't be made again",
                        where=f"secrets/{name}",
                        fix="keep it; to start over, reset the nodes that use it first",
                    )
            unit.execute(
                "INSERT INTO secrets (name, key_id, sealed, put_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET"
                " key_id = excluded.key_id, sealed = excluded.sealed, put_at = excluded.put_at",
                [name, box.key.id, sealed, unit.at],
            )
            unit.audit(audit.Entry(actor, "replace secret" if known else "put secret", f"secrets/{name}"))

    def get_secret(self, name: str) -> Secret:
        row = self._row("SELECT sealed FROM secrets WHERE name = ?", [name])
        if row is None:
            raise StoreError(
                "there is no such secret", where=f"secrets/{name}", fix="see `cto status` for what exists"
            )
        return self._box().open(row["sealed"], table="secrets", pk=name, column="sealed")

    def has_secret(self, name: str) -> bool:
        return self._row("SELECT 1 FROM secrets WHERE name = ?", [name]) is not None

    def list_secrets(self) -> tuple[SecretInfo, ...]:
        rows = self._rows("SELECT name, key_id, put_at FROM secrets ORDER BY name")
        return tuple(SecretInfo(**dict(row)) for row in rows)

    def export_secret(self, name: str, *, actor: str) -> Secret:
        """As `get_secret`, for somebody who takes it out of the store: that is told and audited."""
        secret = self.get_secret(name)
        with self._unit() as unit:
            unit.event("SecretExported", "controller", f"{name} was exported", {"name": name, "by": actor})
            unit.audit(audit.Entry(actor, "export secret", f"secrets/{name}"))
        return secret

    def export_key(self, *, actor: str) -> str:
        """The text of the key file, for `cto key export`. Whoever has it and a backup has every secret."""
        text = self._box().key.to_text()
        with self._unit() as unit:
            unit.event("KeyExported", "controller", "the seal key was exported")
            unit.audit(audit.Entry(actor, "export key", "key"))
        return text

    def _box(self) -> SecretBox:
        """Only the key that this store was made with: a stray key file must not seal what no backup opens."""
        key = SealKey.load(self.home)
        wanted = self._row("SELECT key_id FROM meta")
        made_with = wanted["key_id"] if wanted else "none"
        if made_with != key.id:
            raise StoreError(
                f"this key ({key.id}) is not the one of this store ({made_with})",
                where=str(self.home.key),
                fix="put back the key that `cto key export` printed for this store",
            )
        return SecretBox(key)
