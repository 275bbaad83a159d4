"""From the source's section to the keyword arguments of a KafkaConsumer."""

from __future__ import annotations

from typing import Any

from detector.config.sections import KafkaSource

_HEARTBEATS = 3  # that fit into a session
_HEARTBEAT_SECONDS = 3.0


def consumer_arguments(config: KafkaSource) -> dict[str, Any]:
    """Return what differs from kafka-python's own choices; offsets are the daemon's business alone."""
    return {
        "group_id": config.group,
        "group_instance_id": config.instance_id,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "isolation_level": config.isolation,
        "max_poll_records": config.max_poll_records,
        "fetch_max_bytes": config.fetch_max_bytes,
        "max_partition_fetch_bytes": config.partition_fetch_max_bytes,
        "fetch_max_wait_ms": round(config.fetch_max_wait * 1000),
        "session_timeout_ms": round(config.session_timeout * 1000),
        "heartbeat_interval_ms": round(min(_HEARTBEAT_SECONDS, config.session_timeout / _HEARTBEATS) * 1000),
        "max_poll_interval_ms": round(config.max_poll_interval * 1000),
        "metadata_max_age_ms": round(config.metadata_max_age * 1000),
        "reconnect_backoff_max_ms": 2000,
        "metrics_enabled": False,
    }
