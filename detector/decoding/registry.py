"""A client of a schema registry that speaks Confluent's API.

Tested against a small server that follows the public API (tests/support/registry.py), not against a registry itself.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from detector.config.tls import reveal, tls_context
from detector.decoding.schemas import Named, Schema, SchemaError, check, parse
from detector.errors import RegistryUnavailableError

if TYPE_CHECKING:
    from detector.config import sections

_ACCEPT = "application/vnd.schemaregistry.v1+json, application/json"
_LARGEST_ANSWER = 16 << 20
_FORGET_UNKNOWN_AFTER = 30.0  # seconds: a schema may be registered a moment after its first record
_MOST_UNKNOWN = 1_000
_DEEPEST_REFERENCE = 32


class UnknownSchemaError(SchemaError):
    """The registry is there, but has no such schema."""


class Registry:
    """Schemas by id. An id means the same for ever, so a schema is fetched once.

    Answers are the same for all time but for ids that are not known yet: those are asked for anew after 30 s.
    """

    def __init__(self, config: sections.Registry, clock: Callable[[], float] = time.monotonic) -> None:
        """ConfigError where a certificate or a secret cannot be used; nothing is connected yet."""
        self._url = config.url.rstrip("/")
        self._timeout = config.timeout
        self._clock = clock
        context = tls_context(config.tls, "events.registry.tls")
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        self._authorization = _authorization(config)
        self._schemas: dict[int, Schema] = {}
        self._unusable: dict[int, tuple[float, str]] = {}

    def schema(self, number: int) -> Schema:
        """Return the schema of an id, parsed.

        Raises SchemaError where there is none that can be used, and RegistryUnavailableError where the registry
        does not answer, refuses this daemon, or is none.
        """
        known = self._schemas.get(number)
        if known is not None:
            return known
        until, why = self._unusable.get(number, (0.0, ""))
        if why and self._clock() < until:
            raise SchemaError(why)
        try:
            found = self._schemas[number] = self._fetch(number)
        except SchemaError as error:
            if len(self._unusable) >= _MOST_UNKNOWN:
                del self._unusable[next(iter(self._unusable))]
            why = f"schema {number}: {error}"
            self._unusable[number] = (self._clock() + _FORGET_UNKNOWN_AFTER, why)
            raise SchemaError(why) from None
        self._unusable.pop(number, None)
        return found

    def reach(self) -> None:
        """Ask for the types of schemas it knows. RegistryUnavailableError where no registry answers."""
        self._get("/schemas/types")

    def _fetch(self, number: int) -> Schema:
        named: Named = {}
        schema = self._parse(self._get(f"/schemas/ids/{number}"), named, _DEEPEST_REFERENCE)
        check(schema, named)
        return schema

    def _parse(self, answer: Any, named: Named, depth: int) -> Schema:
        """Parse a schema and, before it, all that it refers to."""
        if not isinstance(answer, dict) or not isinstance(answer.get("schema"), str):
            message = "the registry's answer holds no schema"
            raise SchemaError(message)
        if answer.get("schemaType", "AVRO") != "AVRO":
            message = f"its type is {answer['schemaType']}, expected AVRO"
            raise SchemaError(message)
        if depth == 0:
            message = f"its references lead on more than {_DEEPEST_REFERENCE} times"
            raise SchemaError(message)
        try:
            references = [(r["name"], str(r["subject"]), int(r["version"])) for r in answer.get("references") or ()]
        except (LookupError, TypeError, ValueError):
            message = "its references are not as the API has them"
            raise SchemaError(message) from None
        for name, subject, version in references:
            if name not in named:
                path = f"/subjects/{urllib.parse.quote(subject, safe='')}/versions/{version}"
                self._parse(self._get(path), named, depth - 1)
        return parse(answer["schema"], named)

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(self._url + path, headers={"Accept": _ACCEPT})  # noqa: S310 - the configuration takes no other URL than http and https
        if self._authorization is not None:
            # Not to be sent on to wherever the registry redirects to.
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return json.loads(response.read(_LARGEST_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            what = f"does not answer as it should ({type(error).__name__}: {error})"
            raise self._unavailable(what) from None

    def _refused(self, error: urllib.error.HTTPError) -> SchemaError | RegistryUnavailableError:
        """Tell a registry that has no such schema (its body says so) from everything else that is 404."""
        try:
            answer = json.loads(error.read(_LARGEST_ANSWER))
            code = answer["error_code"]
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
            code = None
        if (
            error.code == http.HTTPStatus.NOT_FOUND
            and str(code).startswith("404")
            and code != http.HTTPStatus.NOT_FOUND
        ):
            return UnknownSchemaError(f"the registry does not know it, or what it refers to ({code})")
        return self._unavailable(f"answered with HTTP status {error.code}")

    def _unavailable(self, what: str) -> RegistryUnavailableError:
        return RegistryUnavailableError(
            f"events.registry: {self._url} {what}; expected a schema registry. "
            "The records wait until it answers: look at the registry, its URL and the credentials"
        )


def _authorization(config: sections.Registry) -> str | None:
    if config.username is None:
        return None
    password = "" if config.password is None else reveal(config.password, "events.registry.password")
    return "Basic " + base64.b64encode(f"{config.username}:{password}".encode()).decode()
