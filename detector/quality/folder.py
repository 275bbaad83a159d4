"""A folder of labelled sets: what is in it, and how each is evaluated."""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec
import numpy as np

from detector.errors import LabelledSetError
from detector.quality.labelled import UNREADABLE, LabelledSet, Rule

_TRAIN = "_train"
"""Ends the name of a file that holds the unlabelled history of another."""


def labelled_sets(folder: Path) -> list[LabelledSet]:
    """Return the sets of a folder, by group and name; LabelledSetError where it holds none.

    Left out is what is no more than the history of another set: NAME_train beside NAME.
    """
    paths = {path.stem: path for path in sorted(folder.glob("*.npz"))}
    rules = _rules(folder / "manifest.json")
    found = [
        LabelledSet(name, path, rules.get(name) or _rule_without(path))
        for name, path in paths.items()
        if name in rules or name.removesuffix(_TRAIN) not in paths.keys() - {name}
    ]
    if not found:
        message = f"{folder}: no labelled sets there; expected a manifest.json and a file NAME.npz for each set"
        raise LabelledSetError(message)
    return sorted(found, key=lambda each: (each.rule.group, each.name))


def chosen(folder: Path, *, only: AbstractSet[str], groups: AbstractSet[str]) -> list[LabelledSet]:
    """Return the sets of those names and of those groups, where any are named; LabelledSetError where one is none."""
    found = labelled_sets(folder)
    _known("set", only, {each.name for each in found}, folder)
    _known("group", groups, {each.rule.group for each in found}, folder)
    return [each for each in found if (not only or each.name in only) and (not groups or each.rule.group in groups)]


def _known(what: str, given: AbstractSet[str], there: set[str], folder: Path) -> None:
    unknown = sorted(given - there)
    if unknown:
        message = f"{folder}: no {what} {', '.join(unknown)}; there are {', '.join(sorted(there))}"
        raise LabelledSetError(message)


def _rules(manifest: Path) -> dict[str, Rule]:
    """Return the rules that a manifest gives; none where there is no manifest."""
    try:
        sets = json.loads(manifest.read_bytes())["sets"]
        return {name: msgspec.convert(facts["evaluate"], Rule) for name, facts in sets.items() if "evaluate" in facts}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = (
            f'{manifest}: expected {{"sets": {{NAME: {{"evaluate": {{...}}}}}}}} ({type(error).__name__}: {error})'
        )
        raise LabelledSetError(message) from error


def _rule_without(path: Path) -> Rule:
    try:
        with np.load(path, allow_pickle=False) as file:
            return Rule(preset="metrics" if "t" in file else "events")
    except UNREADABLE as error:
        message = f"{path}: not an .npz file ({error})"
        raise LabelledSetError(message) from error
