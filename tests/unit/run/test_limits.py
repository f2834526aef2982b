"""What would not fit is refused before libzmq, which ends the process where it gets no file descriptor."""

import resource

import pytest

from configs.errors import InputError
from run.limits import check_memory, check_open_files, raise_open_files, stream_bytes, streams_that_fit


@pytest.mark.parametrize(("open_files", "fit"), [(50, 0), (200, 17), (1024, 120)])
def test_as_many_streams_fit_as_are_taken(open_files, fit):
    assert streams_that_fit(open_files) == fit
    check_open_files(fit, open_files)
    with pytest.raises(InputError, match=f"a process may have {open_files} here.*at most {fit} stream"):
        check_open_files(fit + 1, open_files)


def test_the_limit_is_raised_as_far_as_it_goes():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert raise_open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pictures_of_8k_need_what_they_take():
    """A folder of 30 of 7680x4320: 2.3 GB measured for the run, of which its processes are 0.3 (26 November 2026)."""
    assert stream_bytes(20, (7680, 4320)) == pytest.approx(2.0e9, rel=0.05)


def test_a_stream_for_which_there_is_no_memory_is_refused():
    check_memory(8, 200e6)
    with pytest.raises(InputError, match="50 MB are free, it may need 90"):
        check_memory(8, 50e6)
