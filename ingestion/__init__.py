"""Move events from their sources through Kafka to the lake, the state tables and the warehouse's schema raw."""
