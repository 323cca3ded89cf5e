"""The endorsement key of a software TPM, read as the machine reads its own."""

import os
import socket
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from iso.enroll import tpm

pytestmark = pytest.mark.needs("swtpm", "tpm2_createek")


def free_pair():
    """swtpm's second port is the next one."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts a TPM with the state of that name; the tools talk to it."""
    running = []

    def begin(name):
        (tmp_path / name).mkdir(exist_ok=True)
        port = free_pair()
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={tmp_path / name}", "--flags"]
        command += ["not-need-init,startup-clear", "--server", f"type=tcp,port={port},bindaddr=127.0.0.1"]
        command += ["--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1"]
        running.append(subprocess.Popen(command))
        monkeypatch.setenv("TPM2TOOLS_TCTI", f"swtpm:host=127.0.0.1,port={port}")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port + 1)) == 0:
                    return
            time.sleep(0.05)

    yield begin
    for process in running:
        process.terminate()
        process.wait()


def test_a_tpm_has_one_key_and_another_tpm_another(start, tmp_path):
    start("one")
    first = tpm.endorsement_key(tmp_path / "run")
    assert len(first) == 64
    assert list((tmp_path / "run").iterdir()) == []
    start("two")
    assert tpm.endorsement_key(tmp_path / "run") not in ("", first)


def test_it_is_the_hash_of_a_public_key(start, tmp_path):
    import hashlib

    start("one")
    der = tmp_path / "der"
    command = ["tpm2_createek", "-G", "rsa", "-c", str(tmp_path / "ctx"), "-f", "der", "-u", str(der)]
    subprocess.run(command, check=True, capture_output=True)
    assert load_der_public_key(der.read_bytes()).key_size == 2048
    assert hashlib.sha256(der.read_bytes()).hexdigest() == tpm.endorsement_key(tmp_path / "run")


def test_without_a_tpm_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("TPM2TOOLS_TCTI", "swtpm:host=127.0.0.1,port=1")
    assert tpm.endorsement_key(tmp_path / "run") == ""
    monkeypatch.setenv("PATH", os.devnull)
    assert tpm.endorsement_key(tmp_path / "run") == ""
