"""Options of a request: in the query, in the fields of a form, or as members of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from maskzoo.models.errors import shown
from maskzoo.service.errors import BadParameterError
from maskzoo.service.problems import list_mistakes
from maskzoo.service.schemas import SegmentOptions


def merge_options(query: SegmentOptions, fields: Mapping[str, Any]) -> SegmentOptions:
    """Join the options of the query with those of the body, which must not contradict.

    Raises:
        BadParameterError: lists every mistake.
    """
    if not fields:
        return query
    given = query.model_dump(exclude_unset=True)
    unequal = [key for key in fields if key in given and str(given[key]) != str(fields[key])]
    if unequal:
        raise BadParameterError(
            [
                f"{key}: {shown(given[key])} in the query, {shown(fields[key])} in the body"
                for key in unequal
            ]
        )
    try:
        return SegmentOptions.model_validate({**fields, **given})
    except ValidationError as error:
        raise BadParameterError(list_mistakes(error)) from None
