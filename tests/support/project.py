"""Folders of the project, and its scripts as modules."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
SCRIPTS = ROOT / "scripts"
SCENES = Path(os.environ.get("CROPLAND_SEG_SCENES", ROOT.parent / "shared" / "data"))
"""Folder of real scenes. If a scene is missing, tests that need it are skipped."""


def environment() -> dict[str, str]:
    """Environment of a process that can import `seg` and `support`."""
    found = [str(ROOT), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(found)}


def load_script(name: str) -> ModuleType:
    """Import a script without running it, so that tests can call it without a new process."""
    spec = importlib.util.spec_from_file_location(f"{name}_script", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
