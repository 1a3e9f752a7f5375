#!/bin/sh
# One-shot job in the network of the broker: create the topics that do not exist (infra/local/kafka.py).
set -eu
for topic in okr_user_events:4 okr_system_metrics:2 okr_ai_predictions:2 okr_data_pipeline:1; do
  /opt/kafka/bin/kafka-topics.sh --bootstrap-server 127.0.0.1:9095 --create --if-not-exists \
    --topic "${topic%:*}" --partitions "${topic#*:}" --replication-factor 1 --config message.timestamp.type=LogAppendTime
done
