"""One budget of cores, as the container allows it."""

import os

import pytest

from transport.cores import model_threads, thread_limits, usable_cores


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_the_container_counts(tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert usable_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 1), (6, 3), (64, 8)])
def test_the_classifier_gets_what_the_others_leave(cores, threads):
    assert model_threads(cores) == threads


def test_where_all_wait_for_the_classifier_it_gets_all_cores():
    assert [model_threads(cores, every_frame=True) for cores in (1, 2, 6, 64)] == [1, 2, 6, 8]


def test_no_library_makes_threads_of_its_own():
    assert set(thread_limits().values()) == {"1", "PASSIVE"}
