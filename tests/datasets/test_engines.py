"""Several processes give what one gives, in order, and an error of a worker is the user's."""

import os
from functools import partial

import pytest

from drive_wm.datasets.engines import engine_named, run_pool
from drive_wm.errors import InputError
from drive_wm.log import read_log


@pytest.mark.slow
def test_results_come_in_order_from_other_processes():
    asked = [f"({x} * {x}, __import__('os').getpid(), __import__('torch').get_num_threads())" for x in range(9)]
    squares, pids, threads = zip(*run_pool(eval, asked, workers=2), strict=True)
    assert squares == tuple(x * x for x in range(9))
    assert os.getpid() not in pids
    assert set(threads) == {1}


@pytest.mark.slow
def test_an_error_of_a_worker_is_raised_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="drive-wm prepare"):
        list(run_pool(read_log, [tmp_path / "none"], workers=2))


@pytest.mark.slow
def test_a_worker_that_dies_is_named():
    with pytest.raises(InputError, match="--workers"):
        list(run_pool(os._exit, [9], workers=2))


def test_items_are_read_no_faster_than_they_are_worked_off():
    """With one worker, two items are in the works: no third is read before the first result is taken."""
    read = []
    results = run_pool(abs, (read.append(x) or x for x in range(5)), workers=1)
    assert next(results) == 0
    assert read == [0, 1]
    results.close()


def test_engines_by_name():
    assert engine_named("local", 1) is not engine_named("local", 2)
    assert isinstance(engine_named("local", 3), partial)
    with pytest.raises(InputError, match="local, ray"):
        engine_named("slurm", 1)
    with pytest.raises(InputError, match="Leave out --workers"):
        engine_named("ray", 2)
