"""The parts of a local run, without namespaces: tests/cli runs the whole."""

from __future__ import annotations

import socket
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rotaware.cli import emulator
from rotaware.cli.emulator import LocalError, Parts

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_the_emulator_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is named; else in three places."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(LocalError, match="aws-lambda-rie, /home/"):
        emulator.find_emulator(None, Path("/home/somebody"))
    on_path = tmp_path / "bin" / "aws-lambda-rie"
    on_path.parent.mkdir()
    on_path.write_text("")
    on_path.chmod(0o755)
    built = tmp_path / "build" / "tools" / "aws-lambda-rie"

    assert on_path == emulator.find_emulator(None, Path("/home/somebody"))
    with pytest.raises(LocalError, match="no emulator at /nowhere; download"):
        emulator.find_emulator(Path("/nowhere"), Path("/home/somebody"))

    built.parent.mkdir(parents=True)
    built.write_text("")

    assert built == emulator.find_emulator(None, Path("/home/somebody"))


def test_a_layers_folder(tmp_path: Path) -> None:
    """It is used as it is, if it is one."""
    with (
        pytest.raises(LocalError, match="is no layer of rotaware"),
        emulator.unpacked_layer(tmp_path),
    ):
        pass
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions" / "rotaware").write_text("")
    with emulator.unpacked_layer(tmp_path) as folder:
        assert tmp_path == folder


def test_a_layers_zip(tmp_path: Path) -> None:
    """It is unpacked with the modes that it has, and then removed."""
    archive = tmp_path / "layer.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        program = zipfile.ZipInfo("extensions/rotaware")
        program.external_attr = 0o750 << 16
        packed.writestr(program, "")
        packed.writestr(zipfile.ZipInfo("plain"), "")
    with emulator.unpacked_layer(archive) as folder:
        unpacked = folder / "extensions" / "rotaware"

        assert 0o750 == unpacked.stat().st_mode & 0o777
    assert not folder.exists()


def test_what_is_no_zip(tmp_path: Path) -> None:
    """One line says so."""
    archive = tmp_path / "layer.zip"
    archive.write_text("no zip")
    with (
        pytest.raises(LocalError, match="no zip file"),
        emulator.unpacked_layer(archive),
    ):
        pass


def test_namespaces() -> None:
    """Root's own are tried first, then those of a user."""
    tried: list[Sequence[str]] = []

    def second(command: Sequence[str]) -> bool:
        tried.append(command)
        return len(tried) == 2

    found = emulator.namespaces(second)

    assert "--map-root-user" in found
    assert "--map-root-user" not in tried[0]
    with pytest.raises(LocalError, match="needs root, or user namespaces"):
        emulator.namespaces(lambda _: False)


@pytest.mark.parametrize("missing", ["unshare", "setpriv"])
def test_no_namespaces(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems than Linux have no programs for them."""

    def which(name: str) -> str | None:
        return None if name == missing else f"/usr/bin/{name}"

    monkeypatch.setattr("shutil.which", which)
    with pytest.raises(LocalError, match="needs Linux"):
        emulator.namespaces(lambda _: True)


@pytest.mark.parametrize(("status", "expected"), [("0", True), ("1", False)])
def test_whether_a_command_succeeds(status: str, *, expected: bool) -> None:
    """By its status."""
    command = [sys.executable, "-c", f"raise SystemExit({status})"]

    assert expected == emulator.succeeds(command)


PARTS = Parts(
    "app.handler", Path("/code"), Path("/layer"), Path("/tools/rie"), ("/bin/py", "-m")
)


def test_the_command() -> None:
    """Layer, code and emulator are bound; the runtime runs the handler."""
    found = emulator.command(PARTS, ["unshare", "sh", "-c"], Path("/stage"), 1, 2)
    text = " ".join(part for part in found if "\n" not in part)

    assert text.startswith("setpriv --pdeathsig KILL -- unshare sh -c local /stage")
    assert "/layer /opt /code /var/task /tools /var/rapid -- /var/rapid/rie" in text
    assert text.endswith(
        "127.0.0.1:1 --runtime-api-address 127.0.0.1:2 /bin/py -m app.handler"
    )


def test_a_python() -> None:
    """It runs Lambda's own client."""
    found = emulator.python_runtime(Path("/usr/bin/python3"))

    assert ("/usr/bin/python3", "-m", "awslambdaric") == found


def test_a_python_where_the_layer_lies() -> None:
    """Something else lies there for the function."""
    with pytest.raises(LocalError, match="--python"):
        emulator.python_runtime(Path("/opt/py"))


def test_a_python_that_would_be_hidden(tmp_path: Path) -> None:
    """Its environment stays where it is; another Python's needs no help."""
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.symlink_to("/usr/bin/env")
    kept = emulator.kept_for(program)
    found = emulator.command(
        PARTS._replace(kept=kept), ["unshare", "sh", "-c"], Path("/stage"), 1, 2
    )

    assert ((tmp_path,), ()) == (kept, emulator.kept_for(Path("/usr/bin/env")))
    assert f"/tools /var/rapid {tmp_path} {tmp_path} --" in " ".join(found)


def test_variables() -> None:
    """The function's own win over Lambda's."""
    found = emulator.environ("app.handler", "eu-west-1", {"TZ": "CET"}, 30)

    assert ("app.handler", "30", "CET") == (
        found["_HANDLER"],
        found["AWS_LAMBDA_FUNCTION_TIMEOUT"],
        found["TZ"],
    )


def test_a_free_port() -> None:
    """Somebody else can take it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", emulator.free_port()))
