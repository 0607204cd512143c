import errno
import hashlib
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from dam.core.exceptions import (
    InvalidContentId,
    NotARegularFile,
    ObjectNotStored,
    SourceUnreadable,
    StorageMissing,
    StorageNotWritable,
    UnknownStorageFormat,
)
from dam.services.content_id import ContentId
from dam.services.file_storage import FileStorage, LocalFileStorage, ObjectState
from dam.services.memory_storage import MemoryStorage
from dam.services.publication import Outcome, Published
from tests import hostile, tracing
from tests.forks import ForkServer


def id_of(data: bytes) -> ContentId:
    return ContentId(hashlib.sha256(data).digest())


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def local(root: Path) -> Iterator[LocalFileStorage]:
    storage = LocalFileStorage(root)
    storage.open_for_use(expect_objects=False)
    yield storage
    storage.close()


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest) -> Iterator[FileStorage]:
    """Run the test on every kind of storage."""
    storage: FileStorage = MemoryStorage() if request.param == "memory" else request.getfixturevalue("local")
    yield storage
    storage.close()


class Adder:
    """Adds contents to a storage by way of source files."""

    def __init__(self, storage: FileStorage, sources: Path) -> None:
        self._storage = storage
        self._sources = sources

    def source(self, data: bytes) -> Path:
        path = self._sources / hashlib.sha256(data).hexdigest()
        path.write_bytes(data)
        return path

    def add(self, *contents: bytes) -> list[Outcome]:
        published = self._storage.publish([self._storage.stage(self.source(data)) for data in contents])
        assert all(isinstance(each, Published) for each in published), published
        return [each.outcome for each in published if isinstance(each, Published)]


@pytest.fixture
def adder(storage: FileStorage, sources: Path) -> Adder:
    return Adder(storage, sources)


def content_of(storage: FileStorage, content_id: ContentId) -> bytes:
    with storage.open_object(content_id) as file:
        return file.read()


class TestEveryStorage:
    """What holds for every kind of storage."""

    @pytest.mark.parametrize("data", [b"", b"1", bytes(3_000_000)], ids=len)
    def test_what_goes_in_comes_out(self, storage: FileStorage, sources: Path, data: bytes) -> None:
        (sources / "file").write_bytes(data)

        [published] = storage.publish([storage.stage(sources / "file")])

        assert published == Published(id_of(data), len(data), Outcome.STORED)
        assert content_of(storage, id_of(data)) == data
        assert Path(storage.path_of(id_of(data))).read_bytes() == data

    def test_an_open_file_can_be_the_source(self, storage: FileStorage, adder: Adder) -> None:
        with adder.source(b"content").open("rb") as file:
            staged = storage.stage(file.fileno())

        assert staged.digest.sha256 == id_of(b"content").sha256

    def test_the_same_content_twice_is_one_object(self, storage: FileStorage, adder: Adder) -> None:
        assert adder.add(b"one", b"other", b"one") == [Outcome.STORED, Outcome.STORED, Outcome.PRESENT]
        assert adder.add(b"other") == [Outcome.PRESENT]
        assert list(storage.objects()) == sorted([(id_of(b"one"), 3), (id_of(b"other"), 5)])

    def test_nothing_published_is_nothing(self, storage: FileStorage) -> None:
        assert storage.publish([]) == []
        assert list(storage.objects()) == []

    def test_what_was_staged_is_no_object_before_it_is_published(self, storage: FileStorage, adder: Adder) -> None:
        storage.stage(adder.source(b"content"))

        assert not storage.contains(id_of(b"content"), 7)
        assert list(storage.objects()) == []
        assert list(storage.leftovers()) == []

    def test_what_was_discarded_can_not_be_published(self, storage: FileStorage, adder: Adder) -> None:
        kept, dropped = storage.stage(adder.source(b"kept")), storage.stage(adder.source(b"dropped"))
        storage.discard(dropped)
        storage.discard(dropped)

        failed, stored = storage.publish([dropped, kept])

        assert isinstance(failed, ObjectNotStored)
        assert str(failed) == "can't be stored: No such file or directory"
        assert isinstance(stored, Published)

    def test_an_object_is_known_by_its_name_and_length(self, storage: FileStorage, adder: Adder) -> None:
        adder.add(b"content")

        assert storage.contains(id_of(b"content"), 7)
        assert not storage.contains(id_of(b"content"), 8)
        assert not storage.contains(id_of(b"other"), 5)

    def test_many_objects_are_asked_for_together(self, storage: FileStorage, adder: Adder) -> None:
        adder.add(b"one", b"other")
        asked = [
            (id_of(data).sha256, length) for data, length in ((b"one", 3), (b"none", 4), (b"one", 4), (b"other", 5))
        ]

        assert storage.contains_each(asked) == [True, False, False, True]
        assert storage.contains_each([]) == []

    def test_a_check_says_what_is_wrong(self, storage: FileStorage, adder: Adder) -> None:
        adder.add(b"content")

        assert storage.check(id_of(b"content"), 7) is ObjectState.FINE
        assert storage.check(id_of(b"content"), 8) is ObjectState.WRONG_LENGTH
        assert storage.check(id_of(b"other"), 5) is ObjectState.MISSING

    def test_a_missing_object_can_not_be_opened(self, storage: FileStorage) -> None:
        with pytest.raises(FileNotFoundError):
            storage.open_object(id_of(b"nothing"))
        assert not Path(storage.path_of(id_of(b"nothing"))).exists()

    def test_sources_that_can_not_be_read_fail_by_name(self, storage: FileStorage, sources: Path) -> None:
        os.mkfifo(sources / "fifo")

        with pytest.raises(NotARegularFile, match="a FIFO"):
            storage.stage(sources / "fifo")
        with pytest.raises(SourceUnreadable, match="can't be read: No such file or directory"):
            storage.stage(sources / "nothing")

    def test_the_source_is_left_as_it_was(self, storage: FileStorage, adder: Adder) -> None:
        source = adder.source(b"content")
        source.chmod(0o640)
        os.utime(source, ns=(10**18, 11 * 10**17))
        before = source.stat()

        adder.add()
        storage.publish([storage.stage(source)])

        assert source.stat() == before

    def test_closing_drops_what_was_staged(self, storage: FileStorage, adder: Adder) -> None:
        staged = storage.stage(adder.source(b"content"))
        storage.close()
        storage.close()

        assert isinstance(storage.publish([staged])[0], ObjectNotStored)


@pytest.fixture
def here(local: LocalFileStorage, sources: Path) -> Adder:
    return Adder(local, sources)


def object_of(root: Path, data: bytes) -> Path:
    name = hashlib.sha256(data).hexdigest()
    return root / name[:2] / name[2:4] / name


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class TestObjectsOnDisk:
    def test_an_object_is_a_read_only_file_under_its_name(self, here: Adder, root: Path) -> None:
        here.add(b"content")

        assert object_of(root, b"content").read_bytes() == b"content"
        assert stat.S_IMODE(object_of(root, b"content").stat().st_mode) & 0o222 == 0

    def test_only_objects_are_left(self, local: LocalFileStorage, here: Adder, root: Path) -> None:
        here.add(b"one", b"other", b"one")
        local.close()

        kept = [str(object_of(root, data).relative_to(root)) for data in (b"one", b"other")]
        assert files_below(root) == sorted([*kept, "dam-storage", "tmp/lock"])

    @pytest.mark.parametrize("bad", [b"", b"conten", b"CONTENT"])
    def test_adding_again_repairs_a_damaged_object(
        self, local: LocalFileStorage, here: Adder, root: Path, bad: bytes
    ) -> None:
        here.add(b"content")
        overwrite(object_of(root, b"content"), bad)
        assert local.check(id_of(b"content"), 7) is not ObjectState.FINE

        assert here.add(b"content") == [Outcome.REPAIRED]

        assert local.check(id_of(b"content"), 7) is ObjectState.FINE
        [aside] = (root / "damaged").iterdir()
        assert aside.read_bytes() == bad
        assert list(local.objects()) == [(id_of(b"content"), 7)]

    def test_bad_bytes_are_kept_each_time(self, here: Adder, root: Path) -> None:
        for bad in (b"bad", b"worse"):
            here.add(b"content")
            overwrite(object_of(root, b"content"), bad)
        here.add(b"content")

        assert {path.read_bytes() for path in (root / "damaged").iterdir()} == {b"bad", b"worse"}

    def test_what_is_no_file_under_a_name_is_put_aside(self, here: Adder, root: Path) -> None:
        object_of(root, b"content").mkdir(parents=True)

        assert here.add(b"content") == [Outcome.REPAIRED]
        assert object_of(root, b"content").read_bytes() == b"content"

    def test_a_damaged_object_of_the_right_length_is_found_by_a_check(
        self, local: LocalFileStorage, here: Adder, root: Path
    ) -> None:
        here.add(b"content", bytes(3_000_000))
        overwrite(object_of(root, b"content"), b"CONTENT")
        overwrite(object_of(root, bytes(3_000_000)), bytes(2_999_999) + b"1")

        assert local.check(id_of(b"content"), 7) is ObjectState.DAMAGED
        assert local.check(id_of(bytes(3_000_000)), 3_000_000) is ObjectState.DAMAGED

    def test_strange_files_are_leftovers_and_no_objects(self, local: LocalFileStorage, here: Adder, root: Path) -> None:
        here.add(b"content")
        good = object_of(root, b"content")
        strange = [root / "notes", good.parent / "short", root / good.name, good.parent / ("f" * 64)]
        for path in strange:
            path.touch()

        assert list(local.objects()) == [(id_of(b"content"), 7)]
        assert sorted(local.leftovers()) == sorted(map(str, strange))

    def test_one_that_fails_leaves_the_others(self, local: LocalFileStorage, here: Adder, root: Path) -> None:
        batch = [local.stage(here.source(data)) for data in (b"one", b"two", b"three")]
        blocked = object_of(root, b"two").parent
        blocked.parent.mkdir(exist_ok=True)
        blocked.touch()

        one, two, three = local.publish(batch)

        assert isinstance(one, Published)
        assert isinstance(three, Published)
        assert isinstance(two, ObjectNotStored)
        assert two.cause.errno == errno.EEXIST
        assert not Path(batch[1].temporary).exists()

    def test_many_threads_may_stage_and_many_objects_be_published_at_once(
        self, local: LocalFileStorage, here: Adder
    ) -> None:
        contents = [b"%d" % number for number in range(60)]
        paths = [here.source(data) for data in contents]
        with ThreadPoolExecutor(4) as threads:
            published = local.publish(list(threads.map(local.stage, paths)))

        assert [each.content_id for each in published if isinstance(each, Published)] == [*map(id_of, contents)]


class TestOpening:
    def test_a_new_storage_is_made_with_its_parents(self, tmp_path: Path) -> None:
        storage = LocalFileStorage(tmp_path / "a" / "b")
        storage.open_for_use(expect_objects=False)
        storage.open_for_use(expect_objects=True)

        assert files_below(tmp_path) == ["a/b/dam-storage", "a/b/tmp/lock"]

    def test_nothing_is_touched_before(self, root: Path) -> None:
        storage = LocalFileStorage(root)
        storage.open()
        storage.close()

        assert not root.exists()

    @pytest.mark.parametrize("there", [True, False])
    def test_a_missing_storage_with_objects_is_an_error_before_anything_is_written(
        self, root: Path, *, there: bool
    ) -> None:
        if there:
            root.mkdir()

        with pytest.raises(StorageMissing, match="mount its disk"):
            LocalFileStorage(root).open_for_use(expect_objects=True)

        assert root.exists() == there
        assert not there or list(root.iterdir()) == []

    def test_a_newer_format_is_refused(self, root: Path) -> None:
        root.mkdir()
        (root / "dam-storage").write_text("format 2\n")

        with pytest.raises(UnknownStorageFormat, match="'format 2'; install a newer DAM"):
            LocalFileStorage(root).open_for_use(expect_objects=False)

    def test_a_file_in_its_place_is_an_error(self, root: Path) -> None:
        root.touch()

        with pytest.raises(StorageNotWritable, match=r"storage can't be written to: (Not a directory|File exists)"):
            LocalFileStorage(root).open_for_use(expect_objects=False)

    def test_a_place_that_may_not_be_written_to_is_an_error(self, forks: ForkServer) -> None:
        hostile.need_root("only root can become somebody else")
        with hostile.folder_for_all() as folder:
            printed = forks.run_python(ADD_AS_NOBODY, folder / "storage", folder)

        assert printed == f"the storage {folder}/storage can't be written to: Permission denied\n"

    def test_a_storage_that_became_read_only_fails_file_by_file(self, forks: ForkServer) -> None:
        hostile.need_root("only root can become somebody else")
        with hostile.folder_for_all() as folder:
            LocalFileStorage(folder / "storage").open_for_use(expect_objects=False)
            (folder / "source").touch()
            printed = forks.run_python(ADD_AS_NOBODY, folder / "storage", folder / "source")

        assert printed == "can't be stored: Permission denied\n"

    def test_many_processes_may_make_it_at_once(self, root: Path, sources: Path, forks: ForkServer) -> None:
        (sources / "file").write_bytes(b"content")
        with ExitStack() as stack:
            processes = [stack.enter_context(forks.start_python(ADD, root, sources / "file")) for _ in range(4)]

            assert [process.wait(60) for process in processes] == [0] * 4
        assert files_below(root) == sorted(
            [str(object_of(root, b"content").relative_to(root)), "dam-storage", "tmp/lock"]
        )

    def test_a_folder_that_went_away_is_not_made_anew(self, local: LocalFileStorage, here: Adder, root: Path) -> None:
        source = here.source(b"content")
        shutil.rmtree(root)

        with pytest.raises(ObjectNotStored, match="No such file or directory"):
            local.stage(source)
        assert not root.exists()


ADD = """if True:
    import sys
    from contextlib import closing
    from dam.core.exceptions import DamError
    from dam.services.file_storage import LocalFileStorage
    with closing(LocalFileStorage(sys.argv[1])) as storage:
        storage.open_for_use(expect_objects=False)
        staged = []
        for path in sys.argv[2:]:
            try:
                staged.append(storage.stage(path))
            except DamError as error:
                print(error)
        for published in storage.publish(staged):
            print(getattr(published, "outcome", published))
"""

ADD_AS_NOBODY = """if True:
    import sys
    from dam.core.exceptions import DamError
    from dam.services.file_storage import LocalFileStorage
    from tests import hostile
    hostile.become_nobody()
    storage = LocalFileStorage(sys.argv[1])
    try:
        storage.open_for_use(expect_objects=False)
        storage.stage(sys.argv[2])
    except DamError as error:
        print(error)
"""


class TestLeftovers:
    STAGE_AND_DIE = """if True:
        import os, signal, sys
        from dam.services.file_storage import LocalFileStorage
        storage = LocalFileStorage(sys.argv[1])
        storage.open_for_use(expect_objects=False)
        storage.stage(sys.argv[2])
        os.kill(os.getpid(), signal.SIGKILL)
    """

    @pytest.fixture
    def left(self, root: Path, sources: Path, forks: ForkServer) -> Path:
        (sources / "left").write_bytes(b"left behind")
        with forks.start_python(self.STAGE_AND_DIE, root, sources / "left") as process:
            assert process.wait(60) == -signal.SIGKILL
        [left] = [path for path in (root / "tmp").glob("*/*") if path.name != "lock"]
        return left

    def test_what_a_dead_process_left_is_told_and_cleared_by_the_next(
        self, root: Path, sources: Path, left: Path
    ) -> None:
        (root / "tmp" / "stray").touch()
        storage = LocalFileStorage(root)
        storage.open_for_use(expect_objects=True)
        assert list(storage.leftovers()) == [str(left), str(root / "tmp" / "stray")]

        storage.discard(storage.stage(sources / "left"))

        assert list(storage.leftovers()) == []
        assert not left.exists()
        storage.close()

    def test_what_a_living_process_has_staged_is_left_alone(
        self, local: LocalFileStorage, here: Adder, root: Path, sources: Path, forks: ForkServer
    ) -> None:
        staged = local.stage(here.source(b"content"))
        (sources / "other").write_bytes(b"other")

        forks.run_python(ADD, root, sources / "other")

        assert list(local.leftovers()) == []
        assert isinstance(local.publish([staged])[0], Published)


class TestDurability:
    """The order of system calls, and what happens when one of them fails."""

    def test_object_then_name_then_folders(self, root: Path, sources: Path, forks: ForkServer) -> None:
        contents = [b"one", b"two", bytes(2_000_000)]
        for number, data in enumerate(contents):
            (sources / str(number)).write_bytes(data)
        LocalFileStorage(root).open_for_use(expect_objects=False)

        trace = tracing.calls(forks, ADD, root, *sorted(sources.iterdir()), only="fsync,renameat2,link,mkdir")

        for data in contents:
            final = str(object_of(root, data))
            lower, upper = str(Path(final).parent), str(Path(final).parents[1])
            [renamed] = [at for at, call in enumerate(trace) if call.name == "renameat2" and call.paths[1] == final]
            temporary = trace[renamed].paths[0]
            synced = {call.paths[0]: at for at, call in enumerate(trace) if call.name == "fsync"}
            assert synced[temporary] < renamed
            assert renamed < min(synced[lower], synced[upper], synced[str(root)])

    def test_every_folder_is_synced_once_a_batch(self, root: Path, sources: Path, forks: ForkServer) -> None:
        for number in range(20):
            (sources / str(number)).write_bytes(b"%d" % number)

        trace = tracing.calls(forks, ADD, root, *sorted(sources.iterdir()), only="fsync")

        synced = [call.paths[0] for call in trace if Path(call.paths[0]) not in {root, root.parent}]
        assert len(synced) == len(set(synced))
        assert sum(1 for call in trace if call.paths[0] == str(root)) == 2

    def test_the_folder_of_an_object_that_was_there_is_synced_too(
        self, root: Path, sources: Path, forks: ForkServer
    ) -> None:
        (sources / "file").write_bytes(b"content")
        forks.run_python(ADD, root, sources / "file")

        trace = tracing.calls(forks, ADD, root, sources / "file", only="fsync")

        folder = object_of(root, b"content").parent
        assert {str(folder), str(folder.parent), str(root)} <= {call.paths[0] for call in trace}

    @pytest.fixture
    def three(self, root: Path, sources: Path) -> list[Path]:
        """Return three sources large enough to be synced while they are staged; the storage is there."""
        LocalFileStorage(root).open_for_use(expect_objects=False)
        paths = [sources / name for name in ("1", "2", "3")]
        for path in paths:
            path.write_bytes(path.name.encode() * 1_500_000)
        return paths

    @pytest.mark.parametrize(
        "fault", ["renameat2:error=EIO:when=2", "mkdir:error=EIO:when=5", "write:error=ENOSPC:when=3"]
    )
    def test_a_call_that_fails_is_that_files_failure(
        self, root: Path, three: list[Path], fault: str, forks: ForkServer
    ) -> None:
        printed = tracing.run_with_fault(forks, ADD, root, *three, fault=fault)

        assert printed.count("Outcome.STORED\n") == 2
        assert printed.count("can't be stored: ") == 1
        assert forks.run_python(ADD, root, *three).count("Outcome.STORED\n") == 1
        assert_sound(root, three)

    def test_a_sync_that_fails_is_that_files_failure_and_is_not_tried_again(
        self, root: Path, three: list[Path], forks: ForkServer
    ) -> None:
        code = """if True:
            import sys
            from dam.core.exceptions import ObjectNotStored
            from dam.services.file_storage import LocalFileStorage
            storage = LocalFileStorage(sys.argv[1])
            for path in sys.argv[2:]:
                try:
                    print(storage.stage(path).synced)
                except ObjectNotStored as error:
                    print(error)
            storage.close()
        """
        printed = tracing.run_with_fault(forks, code, root, *three, fault="fsync:error=EIO:when=2")

        assert printed.splitlines() == ["True", "can't be stored: Input/output error", "True"]

    def test_a_folder_that_can_not_be_synced_fails_its_objects_until_it_can(
        self, root: Path, three: list[Path], forks: ForkServer
    ) -> None:
        folder = object_of(root, three[1].read_bytes()).parent

        printed = tracing.run_with_fault(forks, ADD, root, *three, fault="fsync:error=EIO", about=folder)

        assert printed.splitlines() == ["Outcome.STORED", "can't be stored: Input/output error", "Outcome.STORED"]
        assert forks.run_python(ADD, root, three[1]) == "Outcome.PRESENT\n"

    def test_a_small_file_that_can_not_be_synced_gets_no_name(
        self, root: Path, sources: Path, forks: ForkServer
    ) -> None:
        LocalFileStorage(root).open_for_use(expect_objects=False)
        (sources / "small").write_bytes(b"small")

        printed = tracing.run_with_fault(forks, ADD, root, sources / "small", fault="fsync:error=EIO:when=1")

        assert printed == "can't be stored: Input/output error\n"
        assert files_below(root) == ["dam-storage", "tmp/lock"]

    def test_a_file_system_that_can_only_link_serves_too(
        self, root: Path, three: list[Path], forks: ForkServer
    ) -> None:
        printed = tracing.run_with_fault(forks, ADD, root, *three, *three, fault="renameat2:error=EINVAL")

        assert printed.split() == ["Outcome.STORED"] * 3 + ["Outcome.PRESENT"] * 3
        assert_sound(root, three)

    @pytest.mark.parametrize("call", ["fsync", "renameat2", "mkdir", "write", "fcntl"])
    def test_a_process_killed_in_a_call_leaves_sound_objects_and_is_completed(
        self, root: Path, three: list[Path], call: str, forks: ForkServer
    ) -> None:
        for number in (1, 3):
            tracing.kill_at(forks, ADD, root, *three, call=call, number=number)
            assert_sound(root, three, all_there=False)

        assert "can't" not in forks.run_python(ADD, root, *three)
        assert_sound(root, three)
        assert {path.partition("/")[0] for path in files_below(root)} & {"tmp", "damaged"} == {"tmp"}
        assert files_below(root / "tmp") == ["lock"]

    def test_a_full_disk_fails_what_does_not_fit(self, root: Path, sources: Path, forks: ForkServer) -> None:
        LocalFileStorage(root).open_for_use(expect_objects=False)
        sizes = [1000, 200_000, 0, 2_000_000, 99_999]
        paths = [sources / str(size) for size in sizes]
        for path in paths:
            path.write_bytes(bytes(int(path.name)))
        limited = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1))\n{ADD}"

        printed = forks.run_python(limited, root, *paths)

        assert printed.splitlines() == ["can't be stored: File too large"] * 2 + ["Outcome.STORED"] * 3
        assert len(files_below(root)) == 3 + len(["dam-storage", "tmp/lock"])

    def test_a_disk_that_is_full_takes_files_again_when_there_is_room(self, sources: Path, forks: ForkServer) -> None:
        data = bytes(300_000)
        (sources / "file").write_bytes(data)
        with hostile.small_disk(kilobytes=256) as disk:
            Path(disk / "ballast").write_bytes(bytes(100_000))
            LocalFileStorage(disk / "storage").open_for_use(expect_objects=False)
            assert forks.run_python(ADD, disk / "storage", sources / "file") == (
                "can't be stored: No space left on device\n"
            )

            (sources / "file").write_bytes(data[:90_000])
            assert forks.run_python(ADD, disk / "storage", sources / "file") == "Outcome.STORED\n"

    def test_few_descriptors_are_enough_for_many_files(self, root: Path, sources: Path, forks: ForkServer) -> None:
        for number in range(60):
            (sources / str(number)).write_bytes(b"%d" % number)
        few = f"import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))\n{ADD}"

        assert forks.run_python(few, root, *sources.iterdir()) == "Outcome.STORED\n" * 60


def assert_sound(root: Path, sources: list[Path], *, all_there: bool = True) -> None:
    storage = LocalFileStorage(root)
    objects = dict(storage.objects())
    assert all(storage.check(content_id, size) is ObjectState.FINE for content_id, size in objects.items())
    assert not all_there or {id_of(path.read_bytes()) for path in sources} == set(objects)


class TestContentId:
    def test_its_text_and_its_bytes_are_each_others_way_back(self) -> None:
        assert ContentId.parse(str(id_of(b"content"))) == id_of(b"content")

    @pytest.mark.parametrize("text", ["", "ab", "g" * 64, "A" * 64, "a" * 65, "../" + "a" * 61, "\u0661" * 64])
    def test_other_texts_are_refused(self, text: str) -> None:
        with pytest.raises(InvalidContentId):
            ContentId.parse(text)
