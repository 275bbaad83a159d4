"""`detector plot`: a picture of the clusters of a partition's last refit, or of a file of events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.live import StoreFolder, folder
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from detector.refit.record import Record


def plot(  # noqa: PLR0913, PLR0917 - options of a command
    output: Annotated[Path, typer.Argument(metavar="PICTURE", help="The file to write: .png or .svg.")],
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="EVENTS", help="JSON lines to cluster, read as `events` says; else the store."),
    ] = None,
    partition: Annotated[
        str | None, typer.Option("--partition", metavar="TOPIC/NUMBER", help="Which, where the store has several.")
    ] = None,
    entity: Annotated[str | None, typer.Option(help="Which, where there are several; else that of most rows.")] = None,
    algorithm: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --file: dbscan, hierarchical or kmeans.")
    ] = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Draw rows in two dimensions, coloured by cluster: noise, centroids by their mass, and Ward's tree.

    From the store it is the last refit of a partition (`detector refit`), the daemon may run. With --file the events of
    a file are clustered as a refit would. Needs the extra `plot`.
    """
    _available(output)
    if algorithm is not None and file is None:
        message = "--algorithm: counts with --file alone; for a store: `detector refit --algorithm NAME --wait` first"
        raise typer.BadParameter(message)
    from detector.errors import ConfigError  # noqa: PLC0415 - `--help` needs none of it
    from detector.refit.picture import draw  # noqa: PLC0415 - matplotlib takes half a second

    if file is not None:
        record, source = _of_file(file, config, algorithm), str(file)
    else:
        path = _record_file(folder(store, config), partition)
        from detector.refit.record import read  # noqa: PLC0415 - as above

        record, source = read(path), f"{path.parent.name}/{path.name.split('.')[0]}"
    if entity is not None and entity not in record.entities:
        known = ", ".join(each or "(the partition)" for each in record.entities[:20])
        message = f"--entity: {entity!r} is not in it; there are: {known}"
        raise ConfigError(message)
    at = record.entities.index(entity) if entity is not None else 0
    named = f"{source}, {record.entities[at]}" if record.entities[at] else source
    title = f"{named}: {record.parameters.algorithm}"
    try:
        draw(output, title, record.features, record.windows[at], record.candidates[at])
    except OSError as error:
        message = f"{output}: cannot be written ({error.strerror}); name a file in a folder that there is"
        raise typer.BadParameter(message) from error
    typer.echo(f"{output}: {len(record.windows[at].rows):,} rows of {named}")


def _available(output: Path) -> None:
    from importlib.util import find_spec  # noqa: PLC0415 - as above

    if output.suffix not in {".png", ".svg"}:
        message = f"{output}: expected a name that ends in .png or .svg"
        raise typer.BadParameter(message)
    if find_spec("matplotlib") is None:
        message = "pictures need matplotlib: pip install 'detector[plot]'"
        raise typer.BadParameter(message)


def _record_file(path: Path, partition: str | None) -> Path:
    from detector.errors import StoreError  # noqa: PLC0415 - as above
    from detector.store.folder import partitions, refit_file  # noqa: PLC0415 - likewise

    found = [each for each in partitions(path) if partition in {None, str(each)}]
    if len(found) == 1:
        return refit_file(path, found[0])
    names = ", ".join(map(str, partitions(path))) or "none"
    wanted = f"no partition {partition}" if partition else "several partitions, or none: name one (--partition)"
    message = f"{path}: {wanted}; it has: {names}"
    raise StoreError(message)


def _of_file(file: Path, config: Path, algorithm: str | None) -> Record:
    from dataclasses import replace  # noqa: PLC0415 - as above

    from detector.cli.plot_file import record_of  # noqa: PLC0415 - likewise
    from detector.config.load import load  # noqa: PLC0415 - likewise
    from detector.refit.configured import parameters  # noqa: PLC0415 - likewise

    loaded = load(config)
    asked = parameters(loaded.refit)
    match algorithm:
        case None:
            pass
        case "dbscan" | "hierarchical" | "kmeans":
            asked = replace(asked, algorithm=algorithm)
        case _:
            message = f"--algorithm: {algorithm!r} is none; expected dbscan, hierarchical or kmeans"
            raise typer.BadParameter(message)
    return record_of(file, loaded, asked)
