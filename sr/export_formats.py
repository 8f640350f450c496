"""The file formats of `sr.export`: how each is written with its metadata, and how it is run again."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sr.errors import SRError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

OPSET = 20  # ONNX Runtime runs it since 1.17

Run = Callable[[np.ndarray], np.ndarray]


def _to_onnx(program: "ExportedProgram") -> Any:
    """An onnx.ModelProto with the input `lr` and the output `sr`."""
    import torch

    exported = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=["lr"],
        output_names=["sr"],
        dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    )
    model = exported.model_proto
    graph = model.graph
    # The exporter's own notes on where in the Python code everything comes from.
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
    return model


def _write_onnx(program: "ExportedProgram", file: Path, metadata: dict[str, str]) -> None:
    import onnx

    model = _to_onnx(program)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, file)
    onnx.checker.check_model(file, full_check=True)


def _load_onnx(file: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda lr: session.run(["sr"], {"lr": lr})[0]


def _write_openvino(program: "ExportedProgram", file: Path, metadata: dict[str, str]) -> None:
    """By way of ONNX: out of torch's graph, OpenVINO makes three operations of every PReLU, and more of every shuffle.

    `openvino.convert_model` would do the same, but reports its use to OpenVINO's makers.
    """
    import openvino
    from openvino.passes import ConstantFolding, Manager

    model = openvino.Core().read_model(_to_onnx(program).SerializeToString())
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)
    for key, value in metadata.items():
        model.set_rt_info(value, ["sr", key])
    openvino.save_model(model, file, compress_to_fp16=False)


def _load_openvino(file: Path) -> Run:
    import openvino

    # Mapped into memory, the file could not be renamed on Windows.
    options = {"INFERENCE_PRECISION_HINT": "f32", "ENABLE_MMAP": False}
    model = openvino.Core().compile_model(file, "CPU", options)
    return lambda lr: model({"lr": lr})["sr"]


def _write_torch(program: "ExportedProgram", file: Path, metadata: dict[str, str]) -> None:
    import torch

    torch.export.save(program, file, extra_files={"metadata.json": json.dumps(metadata)})


def _load_torch(file: Path) -> Run:
    import torch

    module = torch.export.load(file).module()
    return lambda lr: module(torch.from_numpy(lr)).detach().numpy()


class Format(NamedTuple):
    """suffixes: of its files; the first is the one that users name. packages: what it needs from pip besides torch.

    opset: what its operators are. write: called as write(program, file, metadata). load: a file -> a function that
    runs it on the CPU in fp32, float32 (N, 3, H, W) -> float32 (N, 3, scale*H, scale*W).
    """

    suffixes: tuple[str, ...]
    packages: tuple[str, ...]
    opset: str
    write: Callable[["ExportedProgram", Path, dict[str, str]], None]
    load: Callable[[Path], Run]


FORMATS = {
    "onnx": Format((".onnx",), ("onnx", "onnxscript", "onnxruntime"), f"ONNX opset {OPSET}", _write_onnx, _load_onnx),
    "openvino": Format(
        (".xml", ".bin"),
        ("onnx", "onnxscript", "openvino"),
        f"OpenVINO IR from ONNX opset {OPSET}",
        _write_openvino,
        _load_openvino,
    ),
    "torch": Format((".pt2",), (), "ATen operators", _write_torch, _load_torch),
}
"""By the name that the command line has for them."""


def check_packages(name: str) -> None:
    """Raises SRError when a package that the format `name` needs cannot be imported."""
    missing = []
    for package in FORMATS[name].packages:
        try:
            import_module(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise SRError(f"exporting to {name} needs {', '.join(missing)}; type: pip install {' '.join(missing)}")
