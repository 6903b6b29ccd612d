from __future__ import annotations

import inspect

import pytest

from senytl import performance
from senytl.pytest_plugin.fixture import Perf

OTHERWISE = ("benchmark", "load_test", "current_user")  # the last one is `perf.user`
FUNCTIONS = [
    name
    for name in performance.__all__
    if not isinstance(getattr(performance, name), type) and name not in OTHERWISE
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_of_the_package_is_a_method_with_its_signature(name: str) -> None:
    function = getattr(performance, name)
    method = getattr(object.__new__(Perf), name)
    assert inspect.signature(method) == inspect.signature(function)
    assert method.__doc__ == function.__doc__
