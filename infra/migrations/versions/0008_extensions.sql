ALTER TABLE raw.okr_user_events ADD COLUMN extensions jsonb;
COMMENT ON COLUMN raw.okr_user_events.extensions IS 'CloudEvents attributes of the envelope that the contract does not know, null without any.';
ALTER TABLE raw.okr_system_metrics ADD COLUMN extensions jsonb;
COMMENT ON COLUMN raw.okr_system_metrics.extensions IS 'CloudEvents attributes of the envelope that the contract does not know, null without any.';
ALTER TABLE raw.okr_ai_predictions ADD COLUMN extensions jsonb;
COMMENT ON COLUMN raw.okr_ai_predictions.extensions IS 'CloudEvents attributes of the envelope that the contract does not know, null without any.';
ALTER TABLE raw.okr_data_pipeline ADD COLUMN extensions jsonb;
COMMENT ON COLUMN raw.okr_data_pipeline.extensions IS 'CloudEvents attributes of the envelope that the contract does not know, null without any.';
