"""Typed, validated, immutable configs. Field docstrings become the command line's help."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tst.errors import UserError


class Config(BaseModel):
    """Base of all configs: unknown fields are errors, values are checked up front, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes`, validated; a dict given for a nested config changes only its own keys.

        Raises:
            UserError: a field is unknown or a value does not fit.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        for name, value in changes.items():
            old = values.get(name)
            values[name] = old.replace(**value) if isinstance(old, Config) and isinstance(value, dict) else value
        try:
            return type(self).model_validate(values)
        except ValidationError as error:
            raise UserError(f"{type(self).__name__}: {describe(error)}") from None


def describe(error: ValidationError) -> str:
    """One line of a pydantic error: field, value, what is wrong."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'value'} = {_short(item['input'])}: {item['msg']}"
        for item in error.errors()
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
