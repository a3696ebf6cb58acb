"""What is timed is the task, each in its turn."""

from __future__ import annotations

from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from thermo_utils.clock import interleaved


@given(st.integers(1, 5), st.integers(1, 6))
def test_every_round_runs_every_task_once(tasks, repetitions):
    order = []
    names = [f"task {i}" for i in range(tasks)]
    seconds = interleaved(
        {name: lambda name=name: order.append(name) for name in names}, repetitions, progress=False
    )
    assert {name: len(values) for name, values in seconds.items()} == dict.fromkeys(
        names, repetitions
    )
    rounds = [order[i : i + tasks] for i in range(0, len(order), tasks)]
    assert all(sorted(r) == names for r in rounds)
    assert len({r[0] for r in rounds}) == min(tasks, repetitions)  # each has its turn to be first


def test_seconds_are_those_of_the_task():
    now = [0.0]
    tasks = {
        "a": lambda: now.__setitem__(0, now[0] + 3),
        "b": lambda: now.__setitem__(0, now[0] + 5),
    }
    seconds = interleaved(tasks, 2, progress=False, clock=lambda: now[0])
    assert seconds == {"a": [3.0, 3.0], "b": [5.0, 5.0]}


def test_what_is_around_a_task_is_not_timed():
    now, inside = [0.0], []

    @contextmanager
    def around(name):
        now[0] += 100
        inside.append(name)
        yield
        inside.clear()
        now[0] += 100

    def task():
        assert inside == ["a"]
        now[0] += 3

    seconds = interleaved({"a": task}, 2, around=around, progress=False, clock=lambda: now[0])
    assert seconds == {"a": [3.0, 3.0]}
