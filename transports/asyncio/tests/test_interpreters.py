"""Other interpreters of the same process."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest

from kafka_batch import BatchBufferOverflowError, KafkaBatch

CODE = f"""
import sys
sys.path[:] = {sys.path!r}
try:
    import kafka_batch
except ImportError:
    pass
else:
    try:
        kafka_batch.KafkaBatch("x" * 100, "y" * 100, batch_size=100)
    except kafka_batch.BatchBufferOverflowError:
        pass
"""


def module() -> Any:
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            return importlib.import_module(name)
        except ImportError:
            pass
    pytest.skip("this Python has no interpreters to create")


@pytest.mark.parametrize("isolated", [True, False])
def test_an_interpreter_refuses_the_import_or_works(isolated: bool) -> None:
    interpreters = module()
    new = hasattr(interpreters, "exec")
    kind = "isolated" if isolated else "legacy"
    interpreter = interpreters.create(kind) if new else interpreters.create(isolated=isolated)
    try:
        failure = interpreters.exec(interpreter, CODE) if new else interpreters.run_string(interpreter, CODE)
        assert failure is None
    finally:
        interpreters.destroy(interpreter)
    with pytest.raises(BatchBufferOverflowError):
        KafkaBatch("x" * 100, "y" * 100, batch_size=100)
