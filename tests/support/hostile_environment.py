"""Environments in which a program is easily led astray, and what they point to.

The variables are a function's own, so they reach the extension too; the files are put
into the function's folder, which is /var/task.

Of libraries, the loader takes two kinds from a function: any to preload, and those of
the C library, by their names. So there is one of each that does no harm, and what it is
taken from is seen in the process.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TASK = "/var/task"
NOWHERE = f"{TASK}/nowhere"
PRELOADED = "libresolv.so.2"
"""It is part of the C library, and not of what the interpreter is linked to."""
LOADED = "libm.so.6"
"""The interpreter is linked to it."""
LATIN_1 = "xx_YY.ISO-8859-1"
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "another Python": {
        "PYTHONHOME": NOWHERE,
        "PYTHONPATH": "/var/task/trap",
        "PYTHONSTARTUP": "/var/task/trap/json.py",
        "PYTHONPLATLIBDIR": NOWHERE,
        "PYTHONHASHSEED": "no number",
        "PYTHONWARNINGS": "error",
        "PYTHONINSPECT": "1",
        "PYTHONCASEOK": "1",
    },
    "another python3 on PATH": {
        "PATH": "/var/task/trap:/usr/local/bin:/usr/bin:/bin:/opt/bin",
    },
    "libraries to preload": {"LD_PRELOAD": f"{PRELOADED}:{NOWHERE}/library.so"},
    "other libraries": {"LD_LIBRARY_PATH": "/var/task/trap:/var/task/nowhere"},
    "another OpenSSL": {
        "SSL_CERT_FILE": f"{NOWHERE}/ca.pem",
        "SSL_CERT_DIR": NOWHERE,
        "OPENSSL_CONF": "/var/task/trap/openssl.cnf",
        "OPENSSL_MODULES": "/var/task/trap",
        "SSLKEYLOGFILE": f"{NOWHERE}/keys",
    },
    "a locale that does not exist": {
        "LC_ALL": "xx_YY.UTF-8",
        "LANG": "zz",
        "LANGUAGE": "zz",
        "PYTHONUTF8": "neither",
        "PYTHONIOENCODING": "nothing",
        "TZ": "Nowhere/Never",
    },
    "a locale with another encoding": {
        "LC_ALL": LATIN_1,
        "LOCPATH": "/var/task/trap/locale",
    },
    "no place of its own": {"HOME": NOWHERE, "TMPDIR": NOWHERE, "PWD": NOWHERE},
}
FAILS = 'raise RuntimeError("this module is not the one that was meant")\n'
MODULES = ("_socket", "encodings", "extension", "json", "rotaware", "sitecustomize")
LIBRARIES = ("libcrypto.so.3", "libpython3.13.so.1.0", "libssl.so.3", "libz.so.1")
CHARMAP = "<code_set_name> ISO-8859-1\n<escape_char> /\nCHARMAP\n{}END CHARMAP\n"


def make_locale(folder: Path) -> None:
    """Make LATIN_1 for LOCPATH; its encoding is all that there is to it."""
    folder.mkdir()
    characters = "".join(f"<U{n:04X}> /x{n:02x} any\n" for n in range(256))
    charmap, source = folder / "charmap", folder / "source"
    charmap.write_text(CHARMAP.format(characters))
    source.write_text("LC_CTYPE\nEND LC_CTYPE\n")
    # It complains of all that is missing, and makes the locale nevertheless.
    subprocess.run(
        ["localedef", "-c", "-i", source, "-f", charmap, folder / LATIN_1],
        check=False,
        capture_output=True,
    )
    assert (folder / LATIN_1 / "LC_CTYPE").exists()


# What is mapped into the process where these variables are set.
MAPPED = {"libraries to preload": "/libresolv", "other libraries": f"/trap/{LOADED}"}
_LIBRARY_FOLDERS = ("lib/*-linux-gnu", "usr/lib/*-linux-gnu", "lib64", "usr/lib64")


def moved(environ: Mapping[str, str], function: Path) -> dict[str, str]:
    """The same where the function's folder lies elsewhere."""
    return {name: text.replace(TASK, str(function)) for name, text in environ.items()}


def set_traps(function: Path, root: Path) -> None:
    """Put what the variables name into the function's folder.

    Args:
        function: The folder.
        root: The system whose C library is the process's.
    """
    trap = function / "trap"
    trap.mkdir()
    for name in MODULES:
        (trap / f"{name}.py").write_text(FAILS)
    for name in LIBRARIES:
        (trap / name).write_text("no library")
    folders = [place for pattern in _LIBRARY_FOLDERS for place in root.glob(pattern)]
    own = next(place / LOADED for place in folders if (place / LOADED).exists())
    shutil.copyfile(own, trap / LOADED)
    (trap / "openssl.cnf").write_text("openssl_conf = nothing that is in this file\n")
    make_locale(trap / "locale")
    for name in ("python", "python3", "python3.13"):
        (trap / name).write_text("#!/bin/sh\nexit 1\n")
        (trap / name).chmod(0o755)
