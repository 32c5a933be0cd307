"""Build the layer's interpreter: build/interpreter/{x86_64,arm64} and build-python.

    x86_64/bin/python3.13, x86_64/lib/python3.13/   what goes to /opt/rotaware
    build-python/   the same interpreter for this machine, with the whole library: it
                    compiles bytecode and helps to cross-compile

Rules:
1. A stage (toolchain, openssl, python) is done once for each state of its inputs: the
   digest of the pins, the recipe and our own C files is part of its folder's name.
2. A stage's folder appears when it is complete, by one rename. A failed run clears
   `work`; what a killed one leaves there is thrown away by the next one.
3. One stage at a time: other builds wait, and then find it done.
4. Once an interpreter is built, its stages from older inputs go.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomllib

from infra import artifacts
from infra.interpreter import recipe
from infra.interpreter.fetch import (
    PINS_FILE,
    digest,
    fetch,
    fetch_wheel,
    mirror,
)
from infra.interpreter.library import (
    COMPILE_ALL,
    CONTENTS,
    NOT_LIBRARY,
    PROGRAM,
    install,
    install_listed,
)
from infra.interpreter.progress import Progress
from infra.interpreter.sbom import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = Path(__file__).parent
PINS: dict[str, Any] = tomllib.loads((HERE / "pins.toml").read_text())
MACHINES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
BUILD_PYTHON = "build-python"
ROOT = artifacts.BUILD / "interpreter"
JOBS = os.cpu_count() or 1
# To be raised when a stage's folder is to hold something else.
FORMAT = 2
OWN_MODULE = "_hardening.c"
_LOG_LINES = 12
_LITTLE_BYTES = 1_000_000
_DIGEST_DIGITS = 12
_LOOK_SECONDS = 0.5


class BuildError(artifacts.ArtifactError):
    """A step of the build that failed, and where to read more."""


class Build:
    """One run of the build, in one folder.

    Args:
        root: Everything is built below it.
        downloads: Where downloads are kept; by default there too.
    """

    def __init__(self, root: Path = ROOT, downloads: Path | None = None) -> None:
        self.root = root.absolute()
        self.machine = recipe.TARGETS[MACHINES[platform.machine()]]
        self.downloads = downloads or self.root / "downloads"
        self._work = self.root / "work"
        self._zig = Path()
        self._used: dict[str, Path] = {}

    def interpreter(self, name: str) -> Path:
        """Build an architecture's interpreter, where that is not done; its folder."""
        target = recipe.TARGETS[name]
        self._zig = self._toolchain()
        native = self._python(self.machine)
        made = native if target == self.machine else self._python(target)
        self._link(BUILD_PYTHON, native / "full")
        with artifacts.alone(self.root), artifacts.replacing(self.root / name) as fresh:
            shutil.copytree(made / "bin", fresh / "bin")
            shutil.copytree(made / "licenses", fresh / "licenses")
            runtime = f"{RUNTIME}-{PINS['toolchain']['version']}"
            _copy(
                self._zig.parent / "LICENSE", fresh / "licenses" / runtime / "LICENSE"
            )
            install_listed(native / "full", fresh)
        self.remove_older()
        self._compare(name, made / PROGRAM)
        return self.root / name

    @staticmethod
    def _compare(name: str, program: Path) -> None:
        """Say so when the program is another than the pinned one."""
        pinned, found = PINS["programs"][name], digest(program)
        if found != pinned:
            print(f"  note: {program} is {found}, and not {pinned} as in {PINS_FILE}")

    def _toolchain(self) -> Path:
        pins = PINS["toolchain"]
        sha256 = pins["sha256"][platform.machine()]

        def fill(fresh: Path) -> None:
            _require_lzma()
            print("  downloading the compiler (100 MB)", flush=True)
            release = pins["package"], pins["version"]
            wheel = fetch_wheel(*release, sha256, self.downloads)
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(fresh)  # noqa: S202  its hash is pinned
            (fresh / "ziglang" / "zig").chmod(0o755)

        folder = self.stage("toolchain", [sha256], fill)
        return folder / "ziglang" / "zig"

    def _openssl(self, target: recipe.Target) -> Path:
        def fill(fresh: Path) -> None:
            source = self._source("openssl")
            environ = self._environ(target)
            label = f"compiling OpenSSL {PINS['openssl']['version']} for {target.name}"
            self.run(label, recipe.openssl(target, JOBS), source, environ)
            shutil.copytree(source / "include", fresh / "include")
            for name in ("libcrypto.a", "libssl.a"):
                _copy(source / name, fresh / "lib" / name)
            _copy(source / "LICENSE.txt", fresh / "LICENSE")

        inputs = [
            self._zig.parent.parent.name,
            PINS["openssl"],
            sorted(recipe.SKIPPED_PATCHES["openssl"]),
            recipe.tools("", target, ""),
            recipe.openssl(target),
        ]
        return self.stage(f"openssl-{target.name}", inputs, fill)

    def _python(self, target: recipe.Target) -> Path:
        """An architecture's stage; this machine's own holds the whole Python, too."""
        native = target == self.machine
        helper = None if native else self._python(self.machine) / "full"
        openssl = self._openssl(target)

        def fill(fresh: Path) -> None:
            source = self._source("python")
            shutil.copy(HERE / OWN_MODULE, source / "Modules")
            (source / recipe.OPENSSL).symlink_to(openssl)
            if helper:
                (source / recipe.HELPER).symlink_to(helper)
            environ = self._environ(target) | recipe.python_environ()
            label = f"Python {PINS['python']['version']} for {target.name}"
            make = recipe.make_python(JOBS)
            configure = recipe.configure_python(target, self.machine)
            self.run(f"configuring {label}", [configure], source, environ)
            if native:
                whole = [make, ["make", "-s", "pybuilddir.txt"]]
                self.run(f"compiling {label}", whole, source, environ)
                install(source, fresh / "full")
            setup = source / "Modules" / "Setup.local"
            setup.write_text(
                recipe.setup_local(_optional(source), CONTENTS["compiled"])
            )
            label = f"linking {label}" if native else f"compiling {label}"
            self.run(label, [make], source, environ)
            self.require_modules(source)
            _copy(source / "python", fresh / PROGRAM)
            for name, licence in (("Python", source), ("OpenSSL", openssl)):
                text = licence / "LICENSE"
                version = PINS[name.lower()]["version"]
                _copy(text, fresh / "licenses" / f"{name}-{version}" / "LICENSE")

        inputs = [
            openssl.name,
            PINS["python"],
            sorted(recipe.SKIPPED_PATCHES["python"]),
            recipe.configure_python(target, self.machine),
            recipe.python_environ(),
            recipe.setup_local([], []),
            CONTENTS["compiled"],
            NOT_LIBRARY,
            COMPILE_ALL,
            (HERE / OWN_MODULE).read_text(),
        ]
        return self.stage(f"python-{target.name}", inputs, fill)

    def stage(self, name: str, inputs: list[Any], fill: Callable[[Path], None]) -> Path:
        """The folder of a stage; made, if no run has made it from these inputs yet."""
        key = json.dumps([FORMAT, self.machine, name, *inputs])
        inputs_digest = hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_DIGITS]
        done = self._used[name] = self.root / f"{name}-{inputs_digest}"
        if done.exists():
            return done
        with artifacts.alone(self.root):
            if not done.exists():
                self._clear()
                fresh = self._work / "fresh"
                fresh.mkdir(parents=True)
                try:
                    fill(fresh)
                    fresh.rename(done)
                finally:
                    self._clear()
        return done

    def remove_older(self) -> None:
        """Remove what other inputs gave in the stages of this run, each by a rename."""
        with artifacts.alone(self.root):
            self._clear()
            self._work.mkdir()
            for name, used in self._used.items():
                for folder in self.root.glob(f"{name}-{'?' * _DIGEST_DIGITS}"):
                    if folder != used:
                        folder.rename(self._work / folder.name)
            self._clear()

    def require_modules(self, source: Path) -> None:
        """Refuse a Python without a listed module: configure skips what fails there.

        Some programs are for another machine and do not run here, so this reads the
        list that was compiled into them.
        """
        inside = (source / "Modules" / "config.c").read_text()
        wanted = [*CONTENTS["compiled"], Path(OWN_MODULE).stem]
        missing = [name for name in wanted if f'{{"{name}", PyInit_' not in inside]
        if missing:
            log = self.root / "config.log"
            shutil.copy(source / "config.log", log)
            raise BuildError(f"Python came without {', '.join(missing)}: see {log}")

    def _clear(self) -> None:
        if self._work.exists():
            shutil.rmtree(self._work)

    def _source(self, name: str) -> Path:
        """Debian's source, unpacked and patched."""
        _require_lzma()
        pins = PINS[name]
        folders = [f"{mirror()}/{folder}" for folder in pins["folders"]]
        original, debian = (
            fetch(file, sha256, folders, self.downloads)
            for file, sha256 in pins["sha256"].items()
        )
        progress = Progress(f"unpacking {name} and applying Debian's patches")
        source = _unpack(original, self._work / name)
        patches = _unpack(debian, self._work / f"{name}-debian") / "patches"
        skipped = recipe.SKIPPED_PATCHES[name]
        for patch in (patches / "series").read_text().split("\n"):
            if patch and not patch.startswith("#") and patch not in skipped:
                options = ["-p1", "-s", "--no-backup-if-mismatch", "-i"]
                self.run("", [["patch", *options, str(patches / patch)]], source, {})
        progress.done()
        return source

    def _environ(self, target: recipe.Target) -> dict[str, str]:
        """An environment of our own, where cc is the pinned compiler."""
        tools = self._work / "bin"
        tools.mkdir(exist_ok=True)
        scripts = recipe.tools(str(self._zig), target, str(self._work))
        for name, script in scripts.items():
            (tools / name).write_text(script)
            (tools / name).chmod(0o755)
        cache = str(self.root / "zig-cache")
        return {
            "PATH": f"{tools}:{os.defpath}",
            "HOME": str(self._work),
            "LC_ALL": "C",
            "CC": "cc",
            "AR": "ar",
            "RANLIB": "ranlib",
            "SOURCE_DATE_EPOCH": recipe.EPOCH,
            "ZIG_GLOBAL_CACHE_DIR": cache,
            "ZIG_LOCAL_CACHE_DIR": cache,
        }

    def run(
        self,
        label: str,
        commands: list[list[str]],
        cwd: Path,
        environ: Mapping[str, str],
    ) -> None:
        """Run commands quietly; a failure shows the end of what they wrote."""
        log = self.root / "log.txt"
        progress = Progress(label) if label else None
        environ = {"PATH": os.defpath, **environ}
        with log.open("w") as output:
            for command in commands:
                running = subprocess.Popen(
                    command, cwd=cwd, env=environ, stdout=output, stderr=output
                )
                while _still(running):
                    if progress is not None:
                        progress.show()
                if running.returncode != 0:
                    what = label or shlex.join(command)
                    raise BuildError(f"{what} failed:\n{self._why(log)}")
        if progress is not None:
            progress.done()

    def _why(self, log: Path) -> str:
        """A command's last words; on a full disk it may have had none."""
        if shutil.disk_usage(self.root).free < _LITTLE_BYTES:
            return f"no space left in {self.root}"
        tail = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join([*tail, f"(all of it: {log})"])

    def _link(self, name: str, target: Path) -> None:
        """Let a name point to a stage's folder."""
        fresh = self.root / f".{name}.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target.relative_to(self.root))
        fresh.replace(self.root / name)


def _still(running: subprocess.Popen[bytes]) -> bool:
    """Wait a moment; whether the command still runs then."""
    try:
        running.wait(_LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _unpack(archive: Path, target: Path) -> Path:
    """The one folder that an archive holds."""
    with tarfile.open(archive) as packed:
        # The default of Python 3.14, on all that have it.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(target)  # noqa: S202  its hash is pinned
    (folder,) = target.iterdir()
    return folder


def _optional(source: Path) -> list[str]:
    """The compiled modules that a build of Python may have or lack."""
    lines = (source / "Modules" / "Setup.stdlib.in").read_text().splitlines()
    entries = [line.split("@")[2].split() for line in lines if line.startswith("@MOD")]
    return [entry[0] for entry in entries]


def _require_lzma() -> None:
    """Debian packs sources so; some Pythons are compiled without what unpacks them."""
    if importlib.util.find_spec("_lzma") is None:
        raise BuildError(
            f"{sys.executable} has no lzma module: remove .venv, and name another"
            " Python: make PYTHON=/path/to/python3"
        )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def main() -> None:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description="Build the layer's interpreter.")
    parser.add_argument("architecture", choices=sorted(recipe.TARGETS))
    parser.add_argument("--root", type=Path, default=ROOT)
    options = parser.parse_args()
    with artifacts.failing_in_one_line("rotaware's interpreter"):
        print(Build(options.root).interpreter(options.architecture))


if __name__ == "__main__":
    main()
