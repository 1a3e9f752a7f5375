#!/bin/sh
# Format the broker's storage once, then replace this shell with the broker.
set -eu
if [ ! -f /var/lib/kafka/data/meta.properties ]; then
  /opt/kafka/bin/kafka-storage.sh format --cluster-id "$(/opt/kafka/bin/kafka-storage.sh random-uuid)" \
    --config /etc/okr/kafka.properties
fi
exec /opt/kafka/bin/kafka-server-start.sh /etc/okr/kafka.properties
