"""The configuration text inside a checkpoint, read as data and never run.

mmsegmentation stores the whole configuration of a training run as Python text: assignments of
literals and of `dict(key=value)`, without imports or references to other files.
"""

from __future__ import annotations

import ast
from typing import Any, TypeGuard

from maskzoo.models.errors import WeightsError, shown

MAX_CHARACTERS = 1_000_000
_PARTS = ("model", "test_cfg", "data_preprocessor", "img_norm_cfg", "crop_size")


def parse_config(text: str) -> dict[str, Any]:
    """Return the parts of a configuration that describe a network, as plain values.

    Args:
        text: Python source; only the assignments of `_PARTS` are read.

    Raises:
        WeightsError: it is not such a text, has no `model`, or that is more than literals.
    """
    if len(text) > MAX_CHARACTERS:
        raise WeightsError(
            f"the configuration text has {len(text)} characters; at most {MAX_CHARACTERS} are read"
        )
    try:
        body = ast.parse(text).body
    # A stranger's text: nesting that is too deep for the parser raises either of the last two.
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise WeightsError(f"the configuration text is not Python: {error}") from None
    parts = {}
    for node in body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name) and target.id in _PARTS:
                try:
                    parts[target.id] = _value(node.value)
                except RecursionError:
                    raise WeightsError("the configuration text is nested too deeply") from None
    if not isinstance(parts.get("model"), dict):
        raise WeightsError("the configuration text has no `model = dict(…)`")
    return parts


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Tuple | ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand)
        if isinstance(number, int | float):
            return -number
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {_key(key): _value(value) for key, value in pairs}
    if _is_dict(node):
        return {_key(word.arg): _value(word.value) for word in node.keywords}
    raise WeightsError(
        f"the configuration text has {shown(ast.unparse(node), most=60)}; only literals and "
        "dict(…) are read, nothing is run"
    )


def _is_dict(node: ast.expr) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "dict"
        and not node.args
    )


def _key(key: ast.expr | str | None) -> str:
    name = key.value if isinstance(key, ast.Constant) else key
    if not isinstance(name, str):
        raise WeightsError("the configuration text has a dict whose keys are not names")
    return name
