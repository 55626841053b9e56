"""Validation of keyword options against a constructor's signature.

Architectures, plug-ins and encoders take their options as plain keyword-only arguments. What a
person wrote on a command line or in YAML is validated here against the annotations: unknown
names, wrong types and values outside a `Literal`, all at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from maskzoo.models.errors import SpecError, did_you_mean
from maskzoo.models.spec import describe_mistakes

_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def option_names(constructor: type) -> list[str]:
    """Return the names of the keyword-only arguments of `constructor`."""
    return list(_options(constructor))


def option_defaults(constructor: type) -> dict[str, Any]:
    """Return name -> default of the keyword-only arguments of `constructor`."""
    return {name: default for name, (_, default) in _options(constructor).items()}


def check_options(what: str, constructor: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options, converted to the annotated types; defaults are not filled in.

    Args:
        what: names the constructor in the message (``"architecture 'danet'"``).

    Raises:
        SpecError: lists every unknown name and every wrong value.
    """
    schema = _options(constructor)
    names = list(schema)
    mistakes = [
        f"unknown option {name!r}{did_you_mean(name, names)}"
        for name in options
        if name not in names
    ]
    given = {name: value for name, value in options.items() if name in names}
    checked: dict[str, Any] = {}
    try:
        model = create_model("Options", __config__=_CONFIG, **schema)  # type: ignore[call-overload]
        checked = model(**given).model_dump(include=set(given))
    except ValidationError as error:
        mistakes += [
            line
            for item, line in zip(error.errors(), describe_mistakes(error), strict=True)
            if item["type"] != "missing"
        ]
    if mistakes:
        raise SpecError(what, mistakes)
    return checked


def _options(constructor: type) -> dict[str, tuple[Any, Any]]:
    """Return name -> (annotation, default), base classes included where `**common` reaches them."""
    found: dict[str, tuple[Any, Any]] = {}
    for owner in constructor.__mro__:
        if "__init__" not in vars(owner):
            continue
        hints = get_type_hints(owner.__init__, include_extras=True)  # type: ignore[misc]
        parameters = inspect.signature(owner.__init__).parameters  # type: ignore[misc]
        for name, parameter in parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                found.setdefault(name, (hints[name], parameter.default))
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            break
    return found
