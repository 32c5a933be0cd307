"""A function's environment, however unfortunate, does not reach the layer's Python.

The built layer is started as Lambda does, and reads a secret over TLS.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.fault_rig import World
from tests.support.hostile_aws import STRANGER
from tests.support.hostile_environment import (
    ENVIRONMENTS,
    LATIN_1,
    MAPPED,
    make_locale,
    moved,
    set_traps,
)

# Where this is obeyed, no handshake succeeds.
OPENSSL_CONF = """\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = limits
[limits]
MaxProtocol = TLSv1
"""


def assert_it_works(world: World) -> None:
    """A secret comes over TLS, and nothing complains."""
    value = world.account.put("db")
    world.api.invoke()

    assert world.seen("db") == f"{value} fwd=miss"
    ours = [line for line in world.lines if not line.startswith("ERROR: ld.so:")]
    assert [line for line in ours if not line.startswith("{")] == []


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_variables_change_nothing(tmp_path: Path, name: str) -> None:
    """What misleads other Pythons, loaders and OpenSSLs misleads nobody here."""
    function = tmp_path / "function"
    function.mkdir()
    set_traps(function, Path("/"))
    with World(tmp_path, environ=moved(ENVIRONMENTS[name], function)) as world:
        assert_it_works(world)
        if os.geteuid() == 0:  # nobody else may look
            maps = Path(f"/proc/{world.child.pid}/maps").read_text()

            assert MAPPED.get(name, "/libc") in maps


def test_another_encoding_changes_nothing(tmp_path: Path) -> None:
    """A locale that exists does not make the interpreter look for its encoding."""
    locales = tmp_path / "locales"
    make_locale(locales)
    environ = {"LC_ALL": LATIN_1, "LOCPATH": str(locales)}
    with World(tmp_path, environ=environ) as world:
        assert_it_works(world)


@pytest.mark.parametrize("tmp", ["full", "read-only"])
def test_no_tmp_changes_nothing(tmp_path: Path, tmp: str) -> None:
    """Nothing is written, so nothing needs room."""
    with World(tmp_path, tmp=tmp) as world:
        assert_it_works(world)


def test_openssl_reads_no_configuration(tmp_path: Path) -> None:
    """Not even one that is there, and that every other OpenSSL obeys."""
    file = tmp_path / "openssl.cnf"
    file.write_text(OPENSSL_CONF)
    with World(tmp_path, environ={"OPENSSL_CONF": str(file)}) as world:
        assert_it_works(world)


def test_nobody_else_is_trusted(tmp_path: Path) -> None:
    """SSL_CERT_FILE and SSL_CERT_DIR give no certificate a say."""
    file = tmp_path / "stranger.pem"
    file.write_text(STRANGER)
    environ = {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": str(tmp_path)}
    with World(tmp_path, environ=environ) as world:
        world.account.put("db")
        world.aws.present(STRANGER)
        world.aws.drop_connections()

        assert world.seen("db").startswith("502")
