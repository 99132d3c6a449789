"""Install and run the project on a machine that has only Python 3.11 or later.

    python3 scripts/bootstrap.py demo    all steps on the demo dataset: prepare, train, export, predict, evaluate
    python3 scripts/bootstrap.py test    ruff, mypy and the tests; further arguments go to pytest

Each command makes `.venv` in the repository root and installs its dependencies there, in the versions of
`scripts/constraints.txt`. A later run skips the installation unless something changed. To install again, delete
`.venv`.

The exit status is the exit status of the command, 2 if the command could not be run, or 130 after Ctrl-C.
"""

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

# This check comes first, and the file contains no newer syntax, so that an older Python can run it.
if sys.version_info < (3, 11):  # noqa: UP036
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.stderr.write(f"bootstrap.py: this is Python {version}; run it with Python 3.11 or later\n")
    sys.exit(2)

DEMO_STEPS = (
    "scripts/prepare.py demo --output data/demo",
    "scripts/train.py fit --config configs/demo.yaml",
    "scripts/export.py --checkpoint runs/demo/checkpoints/best.ckpt --output models/demo",
    "scripts/predict.py --model models/demo --input data/demo/scene.tif --output runs/demo/map.tif --tta.dihedral=true",
    "scripts/evaluate.py --prediction runs/demo/map.tif --reference data/demo/scene_mask.tif"
    " --folds data/demo/scene_folds.tif --fold 0 --image data/demo/scene.tif --output runs/demo/report",
)
DEMO_RESULTS = {
    "map": "runs/demo/map.tif",
    "report": "runs/demo/report/index.html",
    "picture": "runs/demo/report/picture.png",
}
LINTERS = ("-m ruff check .", "-m ruff format --check .", "-m mypy --strict seg")
PYTEST = "-m pytest --numprocesses=auto --maxprocesses=4 --dist=loadgroup"

# Each command installs its first extra, unless another extra of its list is already installed.
EXTRAS = {"demo": ("demo", "test"), "test": ("test",)}

# Albumentations checks for a newer version on import, and tests must not download weights from a model hub. Threads
# that wait actively for each other make an epoch several times slower on a shared machine.
COMMON = {"NO_ALBUMENTATIONS_UPDATE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
ENVIRONMENT = {"demo": COMMON, "test": COMMON | {"HF_HUB_OFFLINE": "1"}}

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "bootstrap.stamp"

PROBE = "import sys, pip; print('%d.%d.%d' % sys.version_info[:3]); sys.exit(sys.version_info < (3, 11))"
SECONDS_TO_STOP = 10.0


class BootstrapError(Exception):
    """Error for a command that could not be run; the message is one line."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise an error instead of printing the usage and exiting."""
        raise BootstrapError(f"{message}; see --help")


def main(arguments: list[str]) -> int:
    """Run a command line; return its exit status."""
    try:
        options, further = parse(arguments)
        prepare(options.command, options.unconstrained)
        return test(further) if options.command == "test" else demo()
    except KeyboardInterrupt:
        print("bootstrap.py: interrupted", file=sys.stderr)
        return 130
    except (BootstrapError, OSError) as error:
        print(f"bootstrap.py: {error}", file=sys.stderr)
        return 2


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse a command line into options and further arguments, which go to pytest."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("command", choices=list(EXTRAS))
    parser.add_argument(
        "--unconstrained",
        action="store_true",
        help="let pip choose the versions, if scripts/constraints.txt has no wheels for this platform",
    )
    options, further = parser.parse_known_args(arguments)
    if further and options.command != "test":
        raise BootstrapError(f"{options.command} takes no further arguments, but was given {' '.join(further)}")
    return options, further


def prepare(command: str, unconstrained: bool) -> None:
    """Make `.venv` and install the dependencies of a command, unless they are installed and unchanged."""
    version = make_venv()
    stamps = [fingerprint(extra, version) for extra in EXTRAS[command]]
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") in stamps:
        return
    # The stamp is removed before pip runs, so that the next run repeats an installation that was killed.
    STAMP.unlink(missing_ok=True)
    install(EXTRAS[command][0], unconstrained)
    STAMP.write_text(stamps[0], encoding="utf-8")


def make_venv() -> str:
    """Make `.venv` if it is missing or broken; return its Python version."""
    version = venv_version()
    if version is not None:
        return version
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise BootstrapError(f"{sys.executable} lacks {' and '.join(missing)}; on Debian or Ubuntu install {package}")
    print(f"making {VENV}", flush=True)
    status = run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    version = venv_version()
    if status != 0 or version is None:
        raise BootstrapError(f"{VENV} could not be made (the reason is above); delete it and run this again")
    return version


def venv_version() -> str | None:
    """Python version of `.venv`; None if `.venv` is missing, broken, without pip or too old."""
    try:
        probe = subprocess.run([PYTHON, "-c", PROBE], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return probe.stdout.strip() if probe.returncode == 0 else None


def fingerprint(extra: str, python_version: str) -> str:
    """Hash of all that an installation depends on, including its path, which the installed files contain."""
    digest = hashlib.sha256(f"{extra}\n{python_version}\n{ROOT}\n".encode())
    digest.update(PROJECT.read_bytes())
    digest.update(CONSTRAINTS.read_bytes())
    return digest.hexdigest()


def install(extra: str, unconstrained: bool) -> None:
    """Install the project with an extra into `.venv`."""
    print(
        f"installing into {VENV}\n"
        "The first time this takes minutes; on Linux, where PyTorch brings CUDA, it downloads about 3 GB and\n"
        "fills about 7 GB of disk.",
        flush=True,
    )
    constraints = [] if unconstrained else ["-c", str(CONSTRAINTS)]
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    if run([*pip, *constraints, "-e", f".[{extra}]"]) == 0:
        return
    advice = "check network and disk, then run this again"
    if not unconstrained:
        advice += "; add --unconstrained if this platform has no wheels of the versions in scripts/constraints.txt"
    raise BootstrapError(f"pip could not install (the reason is above); {advice}")


def demo() -> int:
    """Run the steps of the demo until one fails; return its exit status, or 0."""
    for step in DEMO_STEPS:
        start = time.monotonic()
        status = python(step.split(), ENVIRONMENT["demo"])
        print(f"  {time.monotonic() - start:.1f} s", flush=True)
        if status != 0:
            print(f"bootstrap.py: {step.split()[0]} failed with exit status {status}", file=sys.stderr)
            return status
    print()
    for name, path in DEMO_RESULTS.items():
        print(f"{name + ':':9}{ROOT / path}")
    return 0


def test(pytest_arguments: list[str]) -> int:
    """Run every check, and the tests last so that the output ends with their summary; return the exit status.

    If the tests fail, the exit status is the exit status of the tests, even if other checks fail too.
    """
    linters = {linter: python(linter.split(), ENVIRONMENT["test"]) for linter in LINTERS}
    status = python([*PYTEST.split(), *pytest_arguments], ENVIRONMENT["test"])
    failed = [linter.removeprefix("-m ") for linter, linter_status in linters.items() if linter_status != 0]
    if failed:
        print(f"bootstrap.py: failed before the tests: {', '.join(failed)}", file=sys.stderr)
    return status or max(linters.values())


def python(arguments: list[str], environment: dict[str, str]) -> int:
    """Print and run a command with the Python of `.venv`; return its exit status."""
    print("$ python", *arguments, flush=True)
    return run([str(PYTHON), *arguments], environment)


def run(command: list[str], environment: dict[str, str] | None = None) -> int:
    """Run a command in the repository root with streaming output; return its exit status, or 128 + n after signal n."""
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environment or {})}) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            stop(process)
            raise
    return status if status >= 0 else 128 - status


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a child process that received the same Ctrl-C, and kill the process if it does not end."""
    try:
        process.wait(timeout=SECONDS_TO_STOP)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.terminate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
