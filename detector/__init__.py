"""detector: a streaming anomaly-detection daemon. Notebook users import :class:`OnlineKMeans` from here."""

from typing import TYPE_CHECKING, Any

from detector.version import __version__

if TYPE_CHECKING:
    from detector.models.estimator import OnlineKMeans

__all__ = ["OnlineKMeans", "__version__"]


def __getattr__(name: str) -> Any:
    # TensorFlow takes seconds to import: it waits until somebody asks for the estimator.
    if name == "OnlineKMeans":
        from detector.models.estimator import OnlineKMeans  # noqa: PLC0415 - see above

        return OnlineKMeans
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
