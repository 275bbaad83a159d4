"""From records to rows of float64: JSON, Arrow and Avro behind one protocol."""

from detector.decoding.build import build

__all__ = ["build"]
