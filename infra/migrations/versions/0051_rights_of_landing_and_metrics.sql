-- The landing worker reads and creates the keys of personal fields. The metrics collector reads what is loaded. Both were
-- okr_loader before, which may delete raw and the state tables.
GRANT USAGE ON SCHEMA app TO okr_landing;
GRANT SELECT, INSERT ON app.data_key TO okr_landing;
GRANT USAGE ON SCHEMA raw TO okr_metrics;
GRANT SELECT ON raw.load_watermark TO okr_metrics;
