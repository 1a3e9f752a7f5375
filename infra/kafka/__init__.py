"""Access control in Kafka on servers: one user per service, and the rights of each."""
