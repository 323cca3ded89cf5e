"""What a site file may say of which machine a node is. Enrolment knows the machine by it.

Checks the shape only; a match is not a proof, since a machine tells its own ids.
"""

from pydantic import Field

from inventory.model import Model


class HardwareFields(Model):
    serial: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Serial number, as the firmware tells it.",
        examples=["7XK2M13"],
    )
    uuid: str | None = Field(
        default=None,
        pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
        description="System UUID, as the firmware tells it.",
    )
    mac: str | None = Field(
        default=None,
        pattern=r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$",
        description="Address of one of its network cards.",
        examples=["52:54:00:12:34:56"],
    )
    tpm_ek: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the public part of its TPM's endorsement key.",
    )
