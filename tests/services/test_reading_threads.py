from tests.forks import ForkServer

READ = """
import time
from dam.core.waiting import is_done, result_of
from dam.services.reading_threads import ReadingThreads
from tests.interruptions import interrupted_everywhere

def read():
    with ReadingThreads(1) as threads:
        future = threads.submit(time.sleep, 0.001)
        is_done(future)
        result_of(future)

print(interrupted_everywhere(read))
"""


def test_wherever_it_is_interrupted_its_threads_end(forks: ForkServer) -> None:
    assert int(forks.run_python(READ)) > 100
