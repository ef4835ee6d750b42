"""What a request's body says: JSON of sane size and depth, or a form with files."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from bridge_jax.serve.limits import Limits
from bridge_jax.serve.refused import Refused

_SMALL = 1 << 16  # bytes that are read without a thread
_FIELDS = 64  # of a form
# What is wrong with a stranger's form is told to the stranger, and fills no log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


async def read_json(request: Request, limits: Limits) -> dict[str, Any]:
    """The object that a body holds.

    Raises:
      Refused: it is no JSON object, too deep, or holds what is no text.
    """
    _check_type(request, "application/json")
    body = await request.body()
    if len(body) <= _SMALL:
        return parse(body, limits)
    return await asyncio.to_thread(parse, body, limits)


async def read_form(request: Request, limits: Limits) -> dict[str, Any]:
    """Fields of a form: texts, and bytes of files. "name[]" counts as "name".

    A field that is given several times has a list.

    Raises:
      Refused: it is no form, or has too many fields or pictures.
    """
    _check_type(request, "multipart/form-data")
    found: dict[str, list[Any]] = {}
    try:
        async with request.form(
            max_files=limits.pictures,
            max_fields=_FIELDS,
            max_part_size=limits.body_bytes,
        ) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    value = await value.read()
                found.setdefault(name.removesuffix("[]"), []).append(value)
    except HTTPException as error:
        # The parser's own words: "Too many files. Maximum number of files is 8."
        raise Refused(400, f"the form cannot be read: {error.detail}") from None
    _check_texts(list(found))
    _check_texts([v for values in found.values() for v in values if type(v) is str])
    return {name: v[0] if len(v) == 1 else v for name, v in found.items()}


def parse(body: bytes, limits: Limits) -> dict[str, Any]:
    """As `read_json`, of the bytes."""
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep(limits) from None
    except ValueError as error:  # of UTF-8, of JSON, or of a number of too many digits
        why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)[:80]
        raise Refused(400, f"the body is not JSON: {why}") from None
    if not isinstance(found, dict):
        raise Refused(400, "the body is JSON, but not an object {...}")
    _walk(found, limits)
    return found


def _walk(found: Any, limits: Limits) -> None:
    """Level by level: how deep it is, and that every text can be written."""
    level, depth = [found], 1
    while level:
        if depth > limits.json_depth:
            raise _too_deep(limits)
        below: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                _check_texts(list(one))
            values = one.values() if isinstance(one, Mapping) else one
            _check_texts([value for value in values if isinstance(value, str)])
            below += [value for value in values if isinstance(value, dict | list)]
        level, depth = below, depth + 1


def _check_texts(texts: list[str]) -> None:
    """Half a character (a lone surrogate) can be said in JSON, and is no text."""
    try:
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError:
        raise Refused(400, "a text in the body is not Unicode") from None


def _check_type(request: Request, wanted: str) -> None:
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given != wanted:
        # A page of another site may send some types without asking, and not this one.
        raise Refused(415, f"the content-type must be {wanted}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _too_deep(limits: Limits) -> Refused:
    most = limits.json_depth
    return Refused(400, f"the body's JSON is nested deeper than {most} levels")
