"""What every part of the configuration is, and how it holds a secret."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys refused, every field documented."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @classmethod
    def by_key(cls) -> dict[str, FieldInfo]:
        """Return its fields by their names in YAML, which may be words that Python keeps for itself."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}


class Secret(Section):
    """A secret, given in place (best through ${ENV}) or as a file that holds it and nothing else."""

    value: SecretStr | None = None
    """The secret itself."""
    file: Path | None = None
    """A file whose content, without surrounding white space, is the secret; read at start."""

    @model_validator(mode="before")
    @classmethod
    def _accept_plain(cls, given: object) -> object:
        if isinstance(given, (bool, int, float)):
            message = "a secret is text: put it in quotes"
            raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into a located message
        return {"value": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        if self.value is not None and not self.value.get_secret_value().strip():
            message = "the secret is empty"
            raise ValueError(message)
        if (self.value is None) == (self.file is None):
            message = "give either the secret itself or `file:`, not both and not neither"
            raise ValueError(message)
        return self

    def reveal(self) -> str:
        """Return the secret; OSError where its file cannot be read."""
        if self.value is not None:
            return self.value.get_secret_value()
        assert self.file is not None  # the validator has seen to it
        return self.file.read_text(encoding="utf-8").strip()
