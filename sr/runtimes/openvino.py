"""SRResNet in OpenVINO, on CPUs."""

from threading import Lock

import numpy as np
import openvino as ov
import torch

from sr.inference import overlap_for
from sr.models import SRResNet
from sr.runtimes.graph import Offset, Ranges, build

# Longest side of a window in LR pixels. fp32 takes 6 KB a pixel and int8 2 KB: 0.9 and 0.8 GB for a square. A pixel's
# time does not depend on it (from 64 to 256 the same within 5 %), but what neighbours share is computed twice.
TILES = {"fp32": 384, "int8": 640}


class OpenVINONetwork:
    """SRResNet as an engine (`sr.methods.Engine`) on the CPU, with as many threads as torch takes.

    ranges, offset: for int8, see `sr.runtimes.graph.build`. Raises RuntimeError where OpenVINO does.
    """

    any_planes = False
    device = "cpu"
    runtime = "openvino"

    def __init__(self, net: SRResNet, ranges: Ranges | None = None, offset: Offset = (0, 0, 0)):
        self.precision = "fp32" if ranges is None else "int8"
        self.scale, self.tile = net.scale, TILES[self.precision]
        # In int8 a small difference can become one of a level, so that windows must see all that matters at all.
        self.overlap = overlap_for(net.receptive_radius) if ranges is None else net.receptive_radius
        settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            # Else it takes bf16 where the CPU has it.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._compiled = ov.Core().compile_model(build(net, ranges, offset), "CPU", settings)
        self._request = self._compiled.create_infer_request()
        self._lock = Lock()

    def __call__(self, window: np.ndarray) -> np.ndarray:
        with self._lock:
            result = self._request.infer([window[None]])[0][0]
            self._compiled.release_memory()  # that of the largest window would be kept for good
        return result
