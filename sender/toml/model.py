"""Read a TOML file into a pydantic model; every mistake comes with its line, key and remedy."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from sender.errors import FileError
from sender.toml.lines import TomlKey
from sender.toml.source import TomlSource

M = TypeVar("M", bound=BaseModel)


class Table(BaseModel):
    """A table that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_model(path: Path, model: type[M]) -> M:
    """Return the file as the model.

    Raises:
        FileErrors: it is unreadable, not TOML, or says what cannot be meant; holds every mistake.
    """
    source = TomlSource(read_text(path), path)
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            key = tuple(detail["loc"])
            source.refuse(key, *_worded(detail, model))
        source.raise_if_refused()
        raise  # every detail above refuses something


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        FileError: it is missing, unreadable, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"is not UTF-8 text (byte {error.start}).",
            path=path,
            remedy="Save it again with the encoding UTF-8.",
        ) from None
    except OSError as error:
        raise FileError(
            f"cannot be read: {error.strerror}.", path=path, remedy="Check its name and rights."
        ) from None


def error_at(path: Path, key: TomlKey, problem: str, remedy: str = "") -> FileError:
    """Return the error for a key of a file that was read before, with its line."""
    return TomlSource(read_text(path), path).error(key, problem, remedy)


def refused(problem: str, remedy: str = "") -> PydanticCustomError:
    """Return the error that a validator raises; `problem` reads on after the key."""
    return PydanticCustomError("refused", "{problem}", {"problem": problem, "remedy": remedy})


_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_EVERYTHING_BLANK: Final = re.compile(r"\s+")


def _one_line(value: str) -> str:
    """Fold space, and keep control characters out of headers (RFC 5322, section 2.2)."""
    value = _EVERYTHING_BLANK.sub(" ", value).strip()
    if not value:
        raise refused("must not be empty.")
    if not value.isprintable():
        raise refused("holds characters that cannot be shown.")
    return value


def _joined_lines(value: str) -> str:
    return ", ".join(line.strip().rstrip(",") for line in value.splitlines() if line.strip())


def is_slug(value: str) -> bool:
    """Whether the text is a slug: 1 to 64 lower-case letters, digits and hyphens."""
    return _SLUG.fullmatch(value) is not None


def _slug(value: str) -> str:
    if not is_slug(value):
        raise refused(
            "is not a slug.", "Use 1 to 64 lower-case letters, digits and hyphens: north-ward."
        )
    return value


def is_https(value: str) -> bool:
    """Whether the text is a full https address with a host of at least two parts."""
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "https" and "." in host and value.isprintable() and " " not in value


def _https(value: str) -> str:
    if not is_https(value):
        raise refused("must be a full https address.", "Write https://www.example.org/page.")
    return value


Slug = Annotated[str, AfterValidator(_slug)]
Line = Annotated[str, AfterValidator(_one_line), Field(max_length=200)]
PostalAddress = Annotated[
    str, AfterValidator(_joined_lines), AfterValidator(_one_line), Field(max_length=500)
]
HttpsUrl = Annotated[str, AfterValidator(_https), Field(max_length=500)]


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("is missing.", "Add it."),
    "string_type": ("must be text in quotes.", ""),
    "int_type": ("must be a whole number.", ""),
    "int_parsing": ("must be a whole number.", ""),
    "int_from_float": ("must be a whole number.", ""),
    "float_type": ("must be a number.", ""),
    "float_parsing": ("must be a number.", ""),
    "bool_type": ("must be true or false.", ""),
    "bool_parsing": ("must be true or false.", ""),
    "list_type": ("must be a list.", ""),
    "tuple_type": ("must be a list.", "Tables of a list stand under [[ ]], other lists in [ ]."),
    "model_type": ("must be a table.", ""),
    "dict_type": ("must be a table.", ""),
    "string_too_long": ("is longer than {max_length} characters.", ""),
    "too_short": ("needs at least {min_length}.", ""),
    "enum": ("must be one of {expected}.", ""),
    "greater_than": ("must be more than {gt}.", ""),
    "greater_than_equal": ("must be at least {ge}.", ""),
    "less_than_equal": ("must be at most {le}.", ""),
    "timezone_aware": (
        "must say its offset.",
        "Write 2026-05-07T09:00:00+01:00, or a date alone for its first moment.",
    ),
}


def _worded(detail: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    context = detail.get("ctx", {})
    if detail["type"] == "refused":
        return str(context["problem"]), str(context["remedy"])
    if detail["type"] == "extra_forbidden":
        return "is not a key of this table.", _did_you_mean(tuple(detail["loc"]), model)
    problem, remedy = _WORDS.get(detail["type"], (detail["msg"] + ".", ""))
    return problem.format(**context), remedy


def _did_you_mean(key: TomlKey, model: type[BaseModel]) -> str:
    names = list(_keys_at(key[:-1], model))
    near = get_close_matches(str(key[-1]), names, n=1)
    return f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(names)}."


def _keys_at(key: TomlKey, model: type[BaseModel]) -> Iterator[str]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    if not key:
        yield from fields
        return
    rest = key[1:]
    while rest and isinstance(rest[0], int):
        rest = rest[1:]
    inner = _model_in(fields[str(key[0])].annotation)
    if inner is not None:
        yield from _keys_at(rest, inner)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((one for one in found if one is not None), None)
