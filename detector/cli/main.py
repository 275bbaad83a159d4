"""`detector`: the one entry point. Errors that a user can cause are printed as text; a traceback means a bug."""

from __future__ import annotations

import sys

import typer

from detector.cli import (
    alert,
    bench,
    check,
    demo,
    explain,
    feedback,
    incidents,
    learning,
    outbox,
    plot,
    refit,
    reload,
    run,
    schema,
    silence,
    state,
    status,
    top,
    version,
)
from detector.errors import DetectorError

app = typer.Typer(
    name="detector",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help takes 0.1 s to import
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 another error, 2 configuration or usage, 3 store, 4 source, 5 sink. "
    "A traceback is a bug.",
)

_USAGE = 2
"""Exit code where an argument cannot be used."""


@app.callback()
def detector() -> None:
    """Find anomalies in streams of events: Kafka in, an online K-Means, explained alerts out."""


app.command("run")(run.run)
app.command("reload")(reload.reload)
app.command("demo")(demo.demo)
app.command("check")(check.check)
app.command("schema")(schema.schema)
app.command("status")(status.status)
app.command("top")(top.top)
app.command("explain")(explain.explain)
app.add_typer(incidents.app, name="incidents")
app.add_typer(feedback.app, name="feedback")
app.command("version")(version.version)
app.add_typer(alert.app, name="alert")
app.add_typer(bench.app, name="bench")
app.add_typer(learning.app, name="learning")
app.add_typer(silence.app, name="silence")
app.command("refit")(refit.refit)
app.add_typer(outbox.app, name="outbox")
app.add_typer(refit.app, name="model")
app.command("plot")(plot.plot)
app.add_typer(state.app, name="state")


def main() -> None:
    """Run the command line; ends the process with the error's exit code where a DetectorError comes up."""
    try:
        app()
    except UnicodeEncodeError:
        wrong = [ascii(argument) for argument in sys.argv[1:] if not _is_text(argument)]
        if not wrong:
            raise
        sys.stderr.write(f"{', '.join(wrong)}: expected text in UTF-8; is that what this terminal writes?\n")
        sys.exit(_USAGE)
    except DetectorError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


def _is_text(argument: str) -> bool:
    """Tell whether an argument is text: Python keeps bytes that are not UTF-8 as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)
