"""In clear about what is sealed or cached: until when certificates are good, which file an image URL is.

Neither a secret nor a file is in here, so reading it needs no key and starts fast.
"""

from collections.abc import Mapping
from datetime import datetime

from controller.store import audit
from controller.store.base import StoreBase, iso


class KeptChapter(StoreBase):
    def note_expiries(self, cluster: str, until: Mapping[str, datetime]) -> None:
        """Until when each certificate of `cluster` is good; replaces what was noted under the same names.
        The cluster "" stands for the controller itself: its licence, its release metadata.
        """
        with self._unit() as unit:
            for what, moment in until.items():
                unit.execute(
                    "INSERT INTO expiries (cluster, what, until) VALUES (?, ?, ?)"
                    " ON CONFLICT (cluster, what) DO UPDATE SET until = excluded.until",
                    [cluster, what, iso(moment)],
                )

    def expiries(self, cluster: str) -> Mapping[str, str]:
        """Certificate → ISO 8601 time."""
        rows = self._rows("SELECT what, until FROM expiries WHERE cluster = ? ORDER BY what", [cluster])
        return {row["what"]: row["until"] for row in rows}

    def forget_expiry(self, cluster: str, what: str) -> None:
        """For a certificate that is no longer kept."""
        if what in self.expiries(cluster):
            with self._unit() as unit:
                unit.execute("DELETE FROM expiries WHERE cluster = ? AND what = ?", [cluster, what])

    def image_pin(self, url: str) -> str:
        """The SHA-256 that `url` is held to; empty if it was never fetched."""
        row = self._row("SELECT sha256 FROM images WHERE url = ?", [url])
        return str(row["sha256"]) if row else ""

    def pin_image(self, url: str, sha256: str, *, actor: str, reason: str) -> None:
        """From now on `url` stands for this file and no other. Said twice, it changes nothing."""
        with self._unit() as unit:
            known = unit.one("SELECT sha256 FROM images WHERE url = ?", [url])
            before = str(known["sha256"]) if known else ""
            if before == sha256:
                return
            unit.execute(
                "INSERT INTO images (url, sha256, pinned_at) VALUES (?, ?, ?)"
                " ON CONFLICT (url) DO UPDATE SET sha256 = excluded.sha256, pinned_at = excluded.pinned_at",
                [url, sha256, unit.at],
            )
            unit.event(
                "ImagePinned", "controller", f"{url} is {sha256}: {reason}", {"url": url, "sha256": sha256}
            )
            unit.audit(audit.Entry(actor, "pin image", url, before=before, after=sha256, reason=reason))

    def note_image(self, name: str, sha256: str, *, contents: str, actor: str) -> None:
        """That a boot image with something secret in it was made: who has which, for the day one is lost."""
        with self._unit() as unit:
            unit.event("ImageBuilt", "controller", f"a boot image that is a secret was built: {name}")
            unit.audit(audit.Entry(actor, "build image", f"iso/{name}", after=f"{sha256} {contents}"[:500]))
