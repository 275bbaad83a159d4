"""The configured sinks, built; a changed configuration exchanges those that it changes, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from detector.alerts.build import sink
from detector.config import files, sections
from detector.errors import ConfigError
from detector.protocols import Prepared, Sink


class _Built(NamedTuple):
    settings: sections.Sink
    digest: str
    sink: Sink

    def as_wanted(self, settings: sections.Sink, digest: str) -> bool:
        return self.settings == settings and self.digest == digest


class Exchange:
    """Builds sinks. `template_failed` is told the name of a sink whose template could not be used for a message.

    No receiver needs to be up. Raises ConfigError where a secret, a certificate, a URL or a template cannot be used.
    """

    def __init__(self, config: sections.Config, template_failed: Callable[[str], None]) -> None:
        self._template_failed = template_failed
        self._built = self._build(config, {})

    @property
    def sinks(self) -> list[Sink]:
        """The sinks in force, in the order of the configuration."""
        return [built.sink for built in self._built.values()]

    def prepare(self, config: sections.Config, replace: Callable[[Sequence[Sink]], None]) -> Prepared:
        """Build the sinks that another configuration changes; `replace` is called with all when it is applied.

        A sink counts as changed, too, where a file that it names holds something else: a rotated secret.
        """
        old, new = self._built, self._build(config, self._built)
        made = [built for name, built in new.items() if built is not old.get(name)]

        def apply() -> None:
            self._built = new
            replace(self.sinks)

        def discard() -> None:
            for built in made:
                built.sink.close()

        rotated = [b.settings.name for b in made if b.settings == getattr(old.get(b.settings.name), "settings", None)]
        return Prepared(apply, discard, [f"sinks.{name}" for name in rotated])

    def _build(self, config: sections.Config, known: dict[str, _Built]) -> dict[str, _Built]:
        built: dict[str, _Built] = {}
        try:
            for number, settings in enumerate(config.sinks):
                place = f"sinks[{number}]"
                digest = _digest(settings, place)
                old = known.get(settings.name)
                if old is None or not old.as_wanted(settings, digest):
                    old = _Built(settings, digest, sink(settings, place, config.kafka, self._template_failed))
                built[settings.name] = old
        except BaseException:
            for name, each in built.items():
                if each is not known.get(name):
                    each.sink.close()
            raise
        return built


def _digest(settings: sections.Sink, place: str) -> str:
    try:
        return files.digest(settings)
    except OSError as error:
        message = f"{place}: cannot read {error.filename}: {error.strerror}"
        raise ConfigError(message) from error
