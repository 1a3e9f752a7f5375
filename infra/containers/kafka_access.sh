#!/bin/sh
# One-shot job in the network of the broker: topics, the passwords of users, and their rights (infra/kafka).
set -eu
okr kafka topics
for file in /run/secrets/okr_kafka_password_*; do
  okr kafka set-password "okr-${file##*_}" < "$file"
done
exec okr kafka access --apply
