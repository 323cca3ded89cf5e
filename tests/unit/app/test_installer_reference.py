"""Which installer a node's configuration names: found quickly in whatever stands beside it."""

from controller.app.upgrade.images import _with_installer

ID = "0123456789abcdef" * 4
LINE = f"    image: factory.talos.dev/metal-installer/{ID}:v1.13.8\n"


def test_only_the_version_changes():
    text = f"machine:\n  install:\n{LINE}    disk: /dev/sda\n"
    assert _with_installer(text, "1.13.9", ID) == text.replace("v1.13.8", "v1.13.9")


def test_in_quotes_and_twice():
    text = f"a: 'mirror:5000/installer/{ID}:v1.9.6'\nb: \"mirror:5000/x/installer-secureboot/{ID}:v1.13.8\"\n"
    changed = _with_installer(text, "1.13.9", ID)
    assert changed.count(":v1.13.9") == 2
    assert "mirror:5000/" in changed


def test_long_lines_beside_it_take_no_time():
    """Certificates are long lines without a blank. A search that began at each of their letters would not end here."""
    long = "LS0tLS1CRUdJTi" * 40_000 + "/"
    text = f"  crt: {long}\n{LINE}  key: {long}\n"
    assert _with_installer(text, "1.13.9", ID) == text.replace("v1.13.8", "v1.13.9")
