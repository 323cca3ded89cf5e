"""Is there a TPM, and of which version. Its keys and measurements are not read."""

from dataclasses import dataclass

from facts.spec import FactSpec


@dataclass(frozen=True, slots=True)
class Tpm:
    present: bool
    version: str = ""  # "2", "1"; "" if the kernel does not say


def parse(text: str) -> Tpm:
    rows = text.split()
    version = next((row for row in rows if row in {"1", "2"}), "")
    return Tpm(present="tpm0" in rows, version=version)


FACT = FactSpec(
    name="tpm",
    title="TPM",
    command="if [ -d /sys/class/tpm/tpm0 ]; then echo tpm0; cat /sys/class/tpm/tpm0/tpm_version_major; fi",
    parse=parse,
    model=Tpm,
    strict=False,  # kernels before 5.6 do not say the version
)
