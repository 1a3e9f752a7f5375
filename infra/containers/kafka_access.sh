#!/bin/sh
# One-shot job in the network of the broker: set the passwords of Kafka's users, then their rights (infra/kafka).
set -eu
for service in api land state metrics airflow operator; do
  okr kafka set-password "okr-$service" < "/run/secrets/okr_kafka_password_$service"
done
exec okr kafka access --apply
