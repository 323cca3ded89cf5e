"""The licence in the store: its text as it came, and the publisher's keys the operator trusts.

Verifies nothing: the text is verified each time it is used, so a row changed by hand is worth nothing.
"""

from controller.store import audit
from controller.store.base import StoreBase


class LicensesChapter(StoreBase):
    def trust_license_key(self, key_id: str, public: str, *, actor: str) -> None:
        """`public`: base64 of the Ed25519 key. Trusting a key twice changes nothing."""
        with self._unit() as unit:
            added = unit.execute(
                "INSERT INTO license_keys (id, public, actor, trusted_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO NOTHING",
                [key_id, public, actor, unit.at],
            ).rowcount
            if added:
                unit.event("LicenseKeyTrusted", "controller", f"licences signed by {key_id} are accepted")
                unit.audit(audit.Entry(actor, "trust license key", f"license-keys/{key_id}", after=public))

    def license_keys(self) -> dict[str, str]:
        """Key id → base64 of the public key."""
        return {row["id"]: row["public"] for row in self._rows("SELECT id, public FROM license_keys")}

    def put_license(self, text: str, *, name: str, actor: str) -> None:
        """`name`: the licence's id, for the audit row. The one before is replaced."""
        with self._unit() as unit:
            unit.execute(
                "INSERT INTO license (id, text, actor, imported_at) VALUES (1, ?, ?, ?) ON CONFLICT (id)"
                " DO UPDATE SET text = excluded.text, actor = excluded.actor,"
                " imported_at = excluded.imported_at",
                [text, actor, unit.at],
            )
            unit.event("LicenseImported", "controller", f"licence {name}")
            unit.audit(audit.Entry(actor, "import license", f"licenses/{name}"))

    def license_text(self) -> str:
        """Empty without one."""
        row = self._row("SELECT text FROM license")
        return str(row["text"]) if row else ""
