"""Validation of keyword options against a constructor's signature.

Architectures, plug-ins and encoders take their options as plain keyword-only arguments. Input
from a command line or YAML is validated here against the annotations: unknown names, wrong types
and values outside a `Literal`, all at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from maskzoo.models.errors import SpecError, did_you_mean
from maskzoo.models.spec import describe_mistakes

_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def option_names(*constructors: type) -> list[str]:
    """Return the names of the keyword-only arguments of `constructors`."""
    return list(_options(constructors))


def option_defaults(*constructors: type) -> dict[str, Any]:
    """Return name -> default of the keyword-only arguments of `constructors`."""
    return {name: default for name, (_, default) in _options(constructors).items()}


def check_options(what: str, options: Mapping[str, Any], *constructors: type) -> dict[str, Any]:
    """Return the options, converted to the annotated types; defaults are not filled in.

    Args:
        what: names the constructors in the message (``"architecture 'danet'"``).
        options: name -> value as a person gave it.
        constructors: whose keyword-only arguments the options are; several have them together.

    Raises:
        SpecError: lists every unknown name and every wrong value.
    """
    schema = _options(constructors)
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


def _options(constructors: Iterable[type]) -> dict[str, tuple[Any, Any]]:
    """Return name -> (annotation, default) of all keyword-only arguments."""
    found: dict[str, tuple[Any, Any]] = {}
    for constructor in constructors:
        initialise = constructor.__init__  # type: ignore[misc]
        hints = get_type_hints(initialise, include_extras=True)
        for name, parameter in inspect.signature(initialise).parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                found[name] = (hints[name], parameter.default)
    return found
