"""How OpenSSL and Python are compiled. What is said here is part of the cache's keys.

Rules:
1. One ELF file, position-fixed, with everything linked in, that needs nothing but glibc
   2.17 or newer: zig compiles against that one, whatever this machine has.
2. What the extension does not use is not compiled: it needs no security fix. So there
   is no zlib either, which nothing that the extension imports uses.
3. No path, date or name of this machine gets into the result. Nor does configure see
   one: it divides arguments where there is a space.
"""

from __future__ import annotations

import shlex
from typing import NamedTuple

PREFIX = "/opt/rotaware"
EPOCH = "315532800"
# Links in Python's source folder.
OPENSSL = "compiled-openssl"
HELPER = "build-python"


class Target(NamedTuple):
    """An architecture, by all its names."""

    name: str
    zig: str
    cpu: str
    gnu: str
    openssl: str


TARGETS = {
    "x86_64": Target(
        "x86_64",
        zig="x86_64-linux-gnu.2.17",
        cpu="x86_64",
        gnu="x86_64-linux-gnu",
        openssl="linux-x86_64",
    ),
    "arm64": Target(
        "arm64",
        zig="aarch64-linux-gnu.2.17",
        cpu="generic",
        gnu="aarch64-linux-gnu",
        openssl="linux-aarch64",
    ),
}

# Debian's patches are applied in its order, each unless it is named here: so a security
# fix in a newer revision is never left out by forgetting. These arrange Debian's own
# packaging and folders, and some of them need autoconf to be run again.
SKIPPED_PATCHES = {
    "openssl": {
        "debian-targets.patch",
        "man-section.patch",
        "no-symbolic.patch",
        "pic.patch",
        "c_rehash-compat.patch",
        "Configure-allow-to-enable-ktls-if-target-does-not-start-w.patch",
    },
    "python": {
        "deb-locations.diff",
        "distutils-install-layout.diff",
        "sysconfig-debian-schemes.diff",
        "tkinter-import.diff",
        "gdbm-import.diff",
        "link-opt.diff",
        "setup-modules.diff",
        "profiled-build.diff",
        "langpack-gettext.diff",
        "disable-sem-check.diff",
        "multiarch.diff",
        "ensurepip-disabled.diff",
        "destshared-location.diff",
        "min-tempfile.diff",
        "min-lib-argparse.diff",
        "min-argparse-no-shutil.diff",
        "min-ntpath-import.diff",
        "min-compileall.diff",
        "min-pyrepl-import.dff",
        "makefile-bootstrap.diff",
        "test-freeze-strip-libdir.diff",
        "stable-abi-multiarch.diff",
        "no-sphinx-8.2.diff",
        "Add-Debian-specific-documentation-path-to-IDLE-menu.diff",
    },
}

_OPENSSL_WITHOUT = """
    shared pic module dso engine legacy apps tests docs makedepend
    autoload-config atexit async thread-pool default-thread-pool ui-console ssl-trace
    dtls sctp srtp quic ssl3 tls1 tls1_1 comp psk srp nextprotoneg
    integrity-only-ciphers weak-ssl-ciphers multiblock
    cms cmp ts ocsp http ct rfc3779 gost
    idea camellia seed rc2 rc4 rc5 md4 mdc2 rmd160 whirlpool sm2 sm3 sm4 bf cast des
    aria siphash blake2 argon2 siv ocb ml-dsa slh-dsa dsa ec2m afalgeng
"""
# Not for the build's own Python either: they need libraries that are not here.
_PYTHON_WITHOUT = """
    _tkinter _curses _curses_panel _dbm _gdbm _sqlite3 _lzma _bz2 zlib _uuid readline
    _ctypes xxlimited xxlimited_35 xxsubtype
"""
# What configure finds out by running programs. It cannot, for another machine, and what
# it finds on this one should make no difference.
_TRUE = """
    posix_semaphores_enabled pthread_is_default pthread_system_supported working_tzset
"""
_FALSE = """
    file__dev_ptc file__dev_ptmx aligned_required broken_nice broken_poll
    broken_sem_getvalue broken_unsetenv buggy_getaddrinfo
"""

# zig knows no -O3. Sections let the linker drop what nobody calls; nothing unwinds the
# stack, so the tables and the register for it go too.
_FLAGS = (
    "-O2 -g0 -fno-sanitize=undefined -ffunction-sections -fdata-sections"
    " -fomit-frame-pointer -fno-asynchronous-unwind-tables -fno-unwind-tables"
)


def tools(zig: str, target: Target, work: str) -> dict[str, str]:
    """The compiler's scripts: programs record its flags, but not what is in here."""
    zig = shlex.quote(zig)
    compiler = (
        f"{zig} cc -target {target.zig} -mcpu={target.cpu}"
        f" -ffile-prefix-map={shlex.quote(work)}=. -Wno-date-time"
    )
    commands = {"cc": compiler, "ar": f"{zig} ar", "ranlib": f"{zig} ranlib"}
    return {
        name: f'#!/bin/sh\nexec {command} "$@"\n' for name, command in commands.items()
    }


def openssl(target: Target, jobs: int = 2) -> list[list[str]]:
    """The commands that compile OpenSSL, in its source folder.

    Args:
        target: Where it will run.
        jobs: How many compilers run at once, which makes no difference to the result.
    """
    without = [f"no-{feature}" for feature in _OPENSSL_WITHOUT.split()]
    places = [f"--prefix={PREFIX}", f"--openssldir={PREFIX}/ssl", "--libdir=lib"]
    return [
        ["perl", "./Configure", target.openssl, *places, *without, *_FLAGS.split()],
        ["make", "-s", f"-j{jobs}", "build_libs"],
    ]


def python_environ() -> dict[str, str]:
    """What Python's configure reads, beside the compiler."""
    return {
        **{f"py_cv_module_{name}": "n/a" for name in _PYTHON_WITHOUT.split()},
        "CXX": "false",
        "CFLAGS": f"-Wno-incompatible-pointer-types-discards-qualifiers {_FLAGS}",
        "OPT": "-DNDEBUG",
        "LDFLAGS": "-Wl,--gc-sections -s",
        "LINKFORSHARED": " ",
        "MODULE_BUILDTYPE": "static",
        # Nobody opens terminals.
        **{
            f"ac_cv_{place}_{function}": "no"
            for function in ("openpty", "forkpty", "login_tty")
            for place in ("func", "lib_util", "lib_bsd")
        },
        **{f"ac_cv_{name}": "yes" for name in _TRUE.split()},
        **{f"ac_cv_{name}": "no" for name in _FALSE.split()},
    }


def configure_python(target: Target, machine: Target) -> list[str]:
    """The command that configures Python, in its source folder.

    There, ``OPENSSL`` is the compiled OpenSSL, and for another machine ``HELPER`` the
    same Python for this one.

    Args:
        target: Where it will run.
        machine: Where it is compiled.
    """
    cross = (
        [
            f"--host={target.gnu}",
            f"--build={machine.gnu}",
            f"--with-build-python=./{HELPER}/bin/python3.13",
        ]
        if target != machine
        else []
    )
    return [
        "./configure",
        "-q",
        *cross,
        f"--prefix={PREFIX}",
        f"--with-openssl={OPENSSL}",
        "--disable-shared",
        "--disable-test-modules",
        "--with-computed-gotos",
        "--without-c-locale-coercion",
        "--without-doc-strings",
        "--without-ensurepip",
        "--without-mimalloc",
        "--without-readline",
        "--without-static-libpython",
        "--with-dbmliborder=",
        "--with-pkg-config=no",
    ]


def setup_local(all_modules: list[str], wanted: list[str]) -> str:
    """Modules/Setup.local: our own module, and the standard ones not wanted."""
    left_out = [name for name in all_modules if name not in wanted]
    own = "_hardening _hardening.c"
    return "\n".join(["*static*", own, "*disabled*", *left_out, ""])


def make_python(jobs: int) -> list[str]:
    """The command that compiles and links Python."""
    return ["make", "-s", f"-j{jobs}", "python"]
