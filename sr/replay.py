"""A training step on a GPU, recorded once as a CUDA graph and then replayed."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3  # calls that run as they are: optimizers make their states, cuDNN chooses its algorithms


class Replay:
    """Calls a function without the host's time for launching its kernels one by one.

    The function takes and returns tensors on one CUDA device, which always have the same shapes, and waits for nothing;
    what else it reads or changes are tensors that stay where they are. It is not kept: who owns a replay can be freed.
    """

    def __init__(self):
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, function: Callable[..., dict[str, Tensor]], **inputs: Tensor) -> dict[str, Tensor]:
        """What the function, the same at each call, makes of the inputs; valid until the next call."""
        self._calls += 1
        if self._calls <= WARM_UP:
            return _on_another_stream(function, inputs)
        if self._graph is None:
            self._inputs = {name: tensor.clone() for name, tensor in inputs.items()}
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._results = function(**self._inputs)
        for name, given in inputs.items():
            self._inputs[name].copy_(given)
        self._graph.replay()
        return self._results


def _on_another_stream(function: Callable[..., dict[str, Tensor]], inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Recording cannot use the default stream, and what the first calls set up must not belong to it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*capturable=True.*")  # it will be
        results = function(**inputs)
    torch.cuda.current_stream().wait_stream(stream)
    return results
