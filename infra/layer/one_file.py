"""Loads what a start needs from one file, read in one go.

Fifty modules in fifty files are fifty searches; in a new execution environment, where
no page of the layer has been read before, they are fifty waits for the disk as well.
It is read after registering, which needs a few modules only. What is not in it is
looked for in the folders, as always.
"""

from __future__ import annotations

import marshal
import sys
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False  # type checkers take it for true; typing is not free

if TYPE_CHECKING:
    from types import ModuleType

_folder = __file__.rpartition("/")[0]
with open(f"{_folder}/one_file.bin", "rb", 0) as _file:  # noqa: PTH123  pathlib costs start-up time
    # For each module its code, and its folder if it is a package.
    _modules: dict[str, tuple[str, bytes]] = marshal.loads(_file.read())  # noqa: S302  it is our own


class OneFile:
    """Finds and loads its modules."""

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> ModuleSpec | None:
        """Where a module is, if it is here."""
        if name not in _modules:
            return None
        package, _ = _modules[name]
        spec = ModuleSpec(name, self, is_package=bool(package))  # type: ignore[arg-type]
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(f"{_folder}/{package}")
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """A usual one will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Run its code, which is not needed again."""
        _, code = _modules.pop(module.__name__)
        exec(marshal.loads(code), module.__dict__)  # noqa: S102, S302  it is our own


sys.meta_path.insert(0, OneFile())
