"""YAML files in which nothing is said twice."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from sr.errors import SRError


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets the last of equal keys win, silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if repeated := [key for key, count in keys.items() if count > 1]:
            problem = f"twice the same name: {', '.join(repeated)}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The `key: value` lines of a file. Raises SRError, naming the file, when it holds anything else."""
    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise SRError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SRError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise SRError(f"{path} must hold `key: value` lines")
    return values
