"""The way out: what an alert says, the sinks that carry it, and the delivery of what the outbox holds."""
