-- Each staging view reads one kind of event: of 1.3 million rows the 400 that define teams are found without a scan.
CREATE INDEX okr_user_events_event_type ON raw.okr_user_events (event_type, kafka_partition, kafka_offset);
CREATE INDEX okr_system_metrics_event_type ON raw.okr_system_metrics (event_type, kafka_partition, kafka_offset);

-- A large load leaves statistics behind: the models that follow at once must not be planned for the table before it.
GRANT MAINTAIN ON raw.okr_user_events, raw.okr_system_metrics, raw.okr_ai_predictions, raw.okr_data_pipeline TO okr_loader;
