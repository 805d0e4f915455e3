"""What root can be asked to do with the embedded server, and what it must not; only collected for root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import dbperf
from dbperf.embedded import Server, binaries, start

NOBODY = 65534

AS_NORMAL_USER = """
import os, psycopg
from dbperf.embedded import start
with start(databases=("shop",)) as server:
    with psycopg.connect(server.dsn("shop")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    owners = {os.stat(path).st_uid for path in (server.folder, server.folder / "data")}
    assert owners == {os.geteuid()} != {0}, owners
    assert server.folder.stat().st_mode & 0o777 == 0o700
assert not server.folder.exists()
print(server.folder)
"""


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def copy_tree(source: Path, target: Path) -> Path:
    ignored = shutil.ignore_patterns("test", "tests", "__pycache__", "*.a")
    shutil.copytree(source, target, copy_function=link_or_copy, symlinks=True, ignore=ignored)
    return target


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may look into."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of the test's own; below a folder of root's, as the real one is."""
    with tempfile.TemporaryDirectory(dir="/var/cache") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setattr(binaries, "CACHE", Path(folder, "dbperf"))
        yield Path(folder, "dbperf")


@pytest.fixture
def private_wheel(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel, in a folder that only root can look into."""
    package = binaries.find_wheel()
    home = place / "home"
    copy_tree(package / "pginstall18", home / package.name / "pginstall18")
    copy_tree(package.parent / f"{package.name}.libs", home / f"{package.name}.libs")
    home.chmod(0o700)
    monkeypatch.setattr(binaries, "find_wheel", lambda: home / package.name)
    return home


def works(server: Server) -> bool:
    with psycopg.connect(server.dsn()) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_the_server_is_not_root(server: Server) -> None:
    data = server.folder / "data"
    owner = data.stat().st_uid
    assert owner != 0
    postmaster = (data / "postmaster.pid").read_text().split()[0]
    status = Path("/proc", postmaster, "status").read_text().splitlines()
    words = {line.split(":")[0]: line.split()[1:] for line in status}
    assert words["Uid"] == [str(owner)] * 4
    assert words.get("Groups", []) == []
    assert server.folder.stat().st_uid == 0
    assert server.folder.stat().st_mode & 0o777 == 0o711


def test_an_unreadable_wheel_is_copied_once(private_wheel: Path, cache: Path) -> None:
    old = os.umask(0o077)
    try:
        with start() as server:
            assert works(server)
            assert server.bin.is_relative_to(cache)
    finally:
        os.umask(old)
    (copy,) = cache.glob("pixel*")
    made = copy.stat()
    with start() as server:
        assert works(server)
        assert server.bin.is_relative_to(copy)
    assert [copy] == list(cache.glob("pixel*"))
    assert copy.stat() == made
    assert private_wheel.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("private_wheel")
def test_two_that_copy_at_once_and_one_that_was_killed(cache: Path) -> None:
    (cache / ".making" / "half").mkdir(parents=True)
    cache.chmod(0o755)
    account = binaries.server_account()
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(lambda major: binaries.find_install(major, account), (18, 18))
    assert first == second
    assert first.folder.is_relative_to(cache)
    assert not (cache / ".making").exists()


def spoil_owner(copy: Path) -> None:
    os.chown(copy, NOBODY, NOBODY)


def spoil_mode(copy: Path) -> None:
    copy.chmod(0o777)


def spoil_parent(copy: Path) -> None:
    copy.parent.chmod(0o1777)


def spoil_link(copy: Path) -> None:
    copy.rename(copy.with_name("elsewhere"))
    copy.symlink_to("elsewhere")


@pytest.mark.usefixtures("private_wheel")
@pytest.mark.parametrize("spoil", [spoil_owner, spoil_mode, spoil_parent, spoil_link])
def test_a_copy_that_others_could_have_made_is_not_used(spoil: Callable[[Path], None], cache: Path) -> None:
    account = binaries.server_account()
    assert not binaries.find_install(18, account).copy
    (copy,) = cache.glob("pixel*")
    spoil(copy)
    assert binaries.find_install(18, account).copy


@pytest.mark.usefixtures("private_wheel")
def test_no_cache_can_be_made(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "file").touch()
    monkeypatch.setattr(binaries, "CACHE", place / "file" / "dbperf")
    with start() as server:
        assert works(server)
        assert server.bin.is_relative_to(server.folder)
    assert not server.folder.exists()


def test_a_temporary_folder_of_roots_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(private))
    with start() as server:
        assert works(server)
        assert not server.folder.is_relative_to(private)


def test_as_a_normal_user(place: Path) -> None:
    """The interpreter and its packages may be in root's home: nobody then runs a copy of them."""
    packages = copy_tree(Path(sysconfig.get_path("purelib")), place / "packages")
    shutil.rmtree(packages / "dbperf", ignore_errors=True)
    copy_tree(Path(dbperf.__file__).parent, packages / "dbperf")
    python = interpreter_for_all(place)
    environment = {
        "PYTHONPATH": str(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": str(python.parent.parent / "lib"),  # its libpython, where it has one
    }
    done = subprocess.run(
        [python, "-c", AS_NORMAL_USER],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()


def interpreter_for_all(place: Path) -> Path:
    """An interpreter that nobody can run: ours, else a copy of it."""
    ours = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    try:
        subprocess.run([ours, "-c", ""], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", check=True)
    except (OSError, subprocess.SubprocessError):
        return copy_tree(Path(sys.base_prefix), place / "python") / "bin" / ours.name
    return ours
