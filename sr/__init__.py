"""Super-resolution x4 with SRResNet and SRGAN (Ledig et al., CVPR 2017).

import sr
result = sr.load("srgan").upscale(PIL.Image.open("photo.jpg"))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sr.methods import load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds, which `import sr` and `python -m sr --help` need not.
    if name == "load":
        from sr.methods import load

        return load
    raise AttributeError(f"module 'sr' has no attribute {name!r}")
