"""The Debian 11 roots: complete and as pinned, or not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from infra.interpreter.fetch import FetchError
from infra.toolchain import rootfs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Roots and pins of our own, and no mirror."""
    place = tmp_path / "rootfs"
    pins = tmp_path / "rootfs.txt"
    pins.write_text(rootfs.PINS.read_text())
    monkeypatch.setattr(rootfs, "ROOTS", place)
    monkeypatch.setattr(rootfs, "PINS", pins)
    monkeypatch.setenv("DEBIAN_MIRROR", "http://127.0.0.1:1")
    return place


def fill(root: Path) -> None:
    """What debootstrap would do."""
    (root / "etc").mkdir()


def test_a_root_has_all_that_the_sandbox_mounts_on(roots: Path) -> None:
    """The root is read-only when it is used, so the places must be there."""
    rootfs.make("one", fill)

    assert sorted(path.name for path in (roots / "one").iterdir()) == sorted(
        [*rootfs.PLACES, "etc", "pins"]
    )
    assert [path.name for path in roots.iterdir()] == ["one"]


def test_a_root_is_made_once(roots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second run does nothing and says nothing."""
    rootfs.make("one", fill)
    before = (roots / "one").stat().st_ino
    capsys.readouterr()
    rootfs.make("one", fill)

    assert (roots / "one").stat().st_ino == before
    assert capsys.readouterr().out == ""


def test_new_pins_make_a_new_root(roots: Path) -> None:
    """A root that was made by other pins is replaced."""
    rootfs.make("one", fill)
    with rootfs.PINS.open("a") as pins:
        pins.write("0123  another/file\n")
    rootfs.make("one", lambda root: (root / "new").touch())

    assert (roots / "one" / "new").exists()
    assert not (roots / "one" / "etc").exists()


def test_what_fails_leaves_the_old_root(roots: Path) -> None:
    """A root that could not be completed is not there, and the last one still is."""

    def fail(root: Path) -> None:
        fill(root)
        raise rootfs.RootError("half-way")

    for expected in ([], ["one"]):
        with pytest.raises(rootfs.RootError, match="half-way"):
            rootfs.make("one", fail)

        assert [path.name for path in roots.iterdir()] == expected

        rootfs.make("one", fill)
        rootfs.PINS.write_text("0123  another/file\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap needs root")
def test_without_a_mirror_it_says_so(tmp_path: Path) -> None:
    """Both ways of making a root name the address that did not answer."""
    with pytest.raises(rootfs.RootError, match=r"http://127\.0\.0\.1:1/debian/dists"):
        rootfs.bootstrap(tmp_path / "native")
    with pytest.raises(FetchError, match=r"http://127\.0\.0\.1:1/debian/pool/.*libc6"):
        rootfs.unpack_libc(tmp_path)


def test_another_list_of_packages_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the mirror signed, but the pins do not name, is no root."""
    root = tmp_path / "root"
    lists = root / "var" / "lib" / "apt" / "lists"
    lists.mkdir(parents=True)
    (lists / "mirror_dists_bullseye_main_binary-amd64_Packages").write_text("newer")
    monkeypatch.setattr(rootfs, "KEYRING", tmp_path)
    monkeypatch.setattr(rootfs, "_run_showing", list)

    with pytest.raises(rootfs.RootError, match="binary-amd64/Packages is not the list"):
        rootfs.bootstrap(root)


def test_without_root_it_says_what_is_left_out(
    roots: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user who may not make a root is told so in one line, and that is no failure."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    rootfs.main()

    assert capsys.readouterr().out == (
        f"{roots} needs root to be made: the tests in Debian 11 will be skipped\n"
    )
    assert not roots.exists()
