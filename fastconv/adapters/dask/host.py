"""Dask, or what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

try:
    dask: Any = import_module("dask")
    dask_array: Any = import_module("dask.array")
    highlevelgraph: Any = import_module("dask.highlevelgraph")
except ImportError as error:
    raise ImportError("fastconv.adapters.dask needs Dask: pip install fastconv[dask]", name=error.name) from error


def is_dask_array(value: Any) -> bool:
    return isinstance(value, dask_array.Array)


def tokenize(*values: Any) -> str:
    """A name for what has these values, the same for the same ones."""
    name: str = dask.base.tokenize(*values)
    return name


def array_of(name: str, tasks: dict[Any, Any], sources: list[Any], chunks: Any, dtype: Any) -> Any:
    """The array whose blocks the tasks with the keys (name, ...) make, which need those of other arrays."""
    graph = highlevelgraph.HighLevelGraph.from_collections(name, tasks, dependencies=sources)
    return dask_array.Array(graph, name, chunks, dtype=dtype)
