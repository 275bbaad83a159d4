"""detector: a streaming anomaly-detection daemon. Notebook users import :class:`OnlineKMeans` from here."""

from detector.version import __version__

__all__ = ["__version__"]
