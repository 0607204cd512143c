import os
import tempfile
import time
from pathlib import Path

import pytest

from dam.core.exceptions import NotARegularFile
from dam.core.file_operations import FileOperationsResource
from tests import hostile, tracing
from tests.forks import ForkServer

FILES = FileOperationsResource()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def content_at(path: str) -> bytes:
    fd = FILES.open_regular(path)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_opens_a_file_for_reading_in_this_process_alone(file: Path) -> None:
    fd = FILES.open_regular(str(file))
    inherited = os.get_inheritable(fd)
    os.close(fd)

    assert content_at(str(file)) == b"content"
    assert not inherited


def test_opens_what_a_symbolic_link_leads_to(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)

    assert content_at(str(tmp_path / "link")) == b"content"


def test_reading_leaves_the_times_alone(file: Path) -> None:
    os.utime(file, ns=(10**18, 11 * 10**17))
    before = file.stat()

    content_at(str(file))

    after = file.stat()
    assert (after.st_atime_ns, after.st_mtime_ns) == (before.st_atime_ns, before.st_mtime_ns)


def test_somebody_elses_file_can_be_opened_too(forks: ForkServer) -> None:
    hostile.need_root("only root can become somebody else")
    code = """if True:
        import os, sys
        from dam.core.file_operations import FileOperationsResource
        from tests import hostile
        hostile.become_nobody()
        print(os.read(FileOperationsResource().open_regular(sys.argv[1]), 100).decode())
    """
    with hostile.folder_for_all() as folder:
        (folder / "file").write_bytes(b"content")

        assert forks.run_python(code, folder / "file") == "content\n"


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()

    with pytest.raises(NotARegularFile, match="a FIFO"):
        FILES.open_regular(str(tmp_path / "pipe"))

    assert time.monotonic() - began < 5


def test_a_socket_is_refused(tmp_path: Path) -> None:
    hostile.make_socket(tmp_path / "socket")

    with pytest.raises(NotARegularFile, match="a socket"):
        FILES.open_regular(str(tmp_path / "socket"))


def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")

    with pytest.raises(NotARegularFile, match="a character device"):
        FILES.open_regular(str(tmp_path / "link"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotARegularFile, match="a folder"):
        FILES.open_regular(str(tmp_path))


def test_what_is_not_there_stays_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FILES.open_regular(str(tmp_path / "nothing"))


def test_a_link_to_itself_stays_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(OSError, match="symbolic links"):
        FILES.open_regular(str(tmp_path / "loop"))


@pytest.mark.parametrize("length", [4000, 4096, 9000])
def test_a_file_is_opened_however_long_its_path(tmp_path: Path, length: int) -> None:
    path = hostile.write_deep(hostile.deep_folder(tmp_path, length=length), "leaf", b"far below")

    assert content_at(path) == b"far below"
    assert FILES.stat(path).st_size == len(b"far below")


def test_a_missing_file_far_below_leaves_no_descriptor_open(tmp_path: Path) -> None:
    folder = hostile.deep_folder(tmp_path, length=5000)
    before = open_descriptors()

    with pytest.raises(FileNotFoundError):
        FILES.open_regular(f"{folder}/nothing/leaf")

    assert open_descriptors() == before


def test_a_name_that_no_system_takes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        FILES.open_regular(f"{tmp_path}/{'n' * 5000}")


def test_all_bytes_are_written_or_it_is_an_error(tmp_path: Path, forks: ForkServer) -> None:
    code = """if True:
        import os, resource, sys
        from dam.core.file_operations import FileOperationsResource
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
        try:
            FileOperationsResource().write_all(fd, memoryview(bytes(1500)))
        except OSError as error:
            print(error.strerror, os.fstat(fd).st_size)
    """

    assert forks.run_python(code, tmp_path / "file") == "File too large 1000\n"


def test_short_writes_are_gone_on_with() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, True)
    FILES.write_all(writer, b"all of it")
    os.close(writer)

    assert os.read(reader, 100) == b"all of it"
    os.close(reader)


def test_a_new_name_is_given_once(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
    final = tmp_path / "final"

    FILES.rename_new(str(tmp_path / "first"), str(final))
    with pytest.raises(FileExistsError):
        FILES.rename_new(str(tmp_path / "second"), str(final))

    assert final.read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["final", "second"]


def test_a_name_is_given_once_where_the_system_can_only_link(tmp_path: Path) -> None:
    class OlderSystem(FileOperationsResource):
        _renameat2 = None  # as on a system whose C library lacks the call

    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
    final = tmp_path / "final"

    OlderSystem().rename_new(str(tmp_path / "first"), str(final))
    with pytest.raises(FileExistsError):
        OlderSystem().rename_new(str(tmp_path / "second"), str(final))

    assert final.read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["final", "second"]


def test_renaming_what_is_gone_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        FILES.rename_new(str(tmp_path / "gone"), str(tmp_path / "final"))

    assert caught.value.filename == str(tmp_path / "gone")


def test_folders_are_made_with_their_parents_and_twice_is_once(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"

    FILES.make_folder(str(folder))
    FILES.make_folder(str(folder))

    assert folder.is_dir()


def test_a_folder_is_not_made_where_a_file_is(file: Path) -> None:
    with pytest.raises(FileExistsError):
        FILES.make_folder(str(file))


def test_syncing_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FILES.sync_folder(str(tmp_path / "nothing"))


def test_made_folders_are_synced_into_their_parents(tmp_path: Path, forks: ForkServer) -> None:
    code = """if True:
        import sys
        from dam.core.file_operations import FileOperationsResource
        FileOperationsResource().make_folder(sys.argv[1])
    """
    calls = tracing.calls(forks, code, tmp_path / "a" / "b", only="mkdir,fsync")

    a, b = f"{tmp_path}/a", f"{tmp_path}/a/b"
    assert calls == [("mkdir", (a,)), ("fsync", (str(tmp_path),)), ("mkdir", (b,)), ("fsync", (a,))]


def test_a_clone_has_the_same_bytes_or_is_not_made(file: Path, tmp_path: Path) -> None:
    source, target = os.open(file, os.O_RDONLY), os.open(tmp_path / "clone", os.O_RDWR | os.O_CREAT)

    cloned = FILES.clone(source, target)

    assert os.pread(target, 100, 0) == (b"content" if cloned else b"")
    os.close(source)
    os.close(target)


def test_a_file_that_was_written_is_synced_and_closed(file: Path) -> None:
    fd = os.open(file, os.O_WRONLY)

    FILES.sync_and_close(fd)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_file_that_can_not_be_synced_is_closed_all_the_same() -> None:
    reader, writer = os.pipe()  # which no system syncs
    os.close(reader)

    with pytest.raises(OSError, match="Invalid argument"):
        FILES.sync_and_close(writer)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)


def all_failures_are_told() -> bool:
    system = os.uname()
    return system.sysname == "Linux" and tuple(int(part) for part in system.release.split(".")[:2]) >= (5, 17)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no file system in memory is known")
def test_all_of_a_file_system_is_synced_at_once_where_that_is_sure() -> None:
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        assert FILES.sync_file_system(file.fileno()) == all_failures_are_told()


@pytest.mark.skipif(not all_failures_are_told(), reason="this system has no call that tells all failures")
def test_a_file_system_of_another_kind_is_not_sure_to_be_synced(forks: ForkServer) -> None:
    code = """if True:
        import os
        from dam.core.file_operations import FileOperationsResource
        print(FileOperationsResource().sync_file_system(os.open("/proc/self/stat", os.O_RDONLY)))
        print(FileOperationsResource().sync_file_system(os.pipe()[0]))
    """

    assert forks.run_python(code).split() == ["False", "False"]
    assert tracing.calls(forks, code, only="syncfs") == []


@pytest.mark.skipif(not all_failures_are_told(), reason="this system has no call that tells all failures")
def test_syncing_the_file_system_of_what_is_closed_is_an_error(file: Path) -> None:
    fd = os.open(file, os.O_RDONLY)
    os.close(fd)

    with pytest.raises(OSError, match="Bad file descriptor"):
        FILES.sync_file_system(fd)
