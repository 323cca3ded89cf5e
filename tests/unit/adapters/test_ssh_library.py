"""What is left out when asyncssh is imported, and that nobody else notices. In processes of their own."""

import subprocess
import sys


def said(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_certificates_and_compilers_are_left_out_and_nothing_stays_changed() -> None:
    code = """
import ctypes.util, sys
before = ctypes.util.find_library
events = []
sys.addaudithook(lambda event, args: events.append(args[0]) if event == "subprocess.Popen" else None)
from controller.adapters.ssh_library import asyncssh
print(ctypes.util.find_library is before, "asyncssh.crypto.x509" in sys.modules, "cryptography.x509" in sys.modules)
print(sorted({str(program).rpartition("/")[2] for program in events} - {"ldconfig"}))
"""
    assert said(code) == "True False False\n[]\n"


def test_an_asyncssh_that_is_there_already_is_taken_as_it_is() -> None:
    code = """
import sys, asyncssh
before = set(sys.modules)
from controller.adapters import ssh_library
print(ssh_library.asyncssh is asyncssh, {name for name in set(sys.modules) ^ before if "x509" in name})
"""
    assert said(code) == "True set()\n"
