"""From sources over Kafka to the lake, the state tables and the warehouse's raw schema."""
