CREATE SCHEMA IF NOT EXISTS serving;
COMMENT ON SCHEMA serving IS 'State that all processes of the API share, on all hosts.';
GRANT USAGE ON SCHEMA serving TO okr_serving;

CREATE TABLE serving.worker (
    worker_id uuid PRIMARY KEY,
    host text NOT NULL,
    process_id integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE serving.worker IS 'Grain: one process of the API. It deletes its row when it stops.';
COMMENT ON COLUMN serving.worker.worker_id IS 'Random id that the process chose when it started.';
COMMENT ON COLUMN serving.worker.host IS 'Name of the host that the process runs on.';
COMMENT ON COLUMN serving.worker.process_id IS 'Process id on that host.';
COMMENT ON COLUMN serving.worker.started_at IS 'When the process registered, by the clock of PostgreSQL.';
COMMENT ON COLUMN serving.worker.heartbeat_at IS 'Newest sign of life, by the clock of PostgreSQL. A worker without one for a few seconds is not live.';
GRANT SELECT, INSERT, UPDATE, DELETE ON serving.worker TO okr_serving;

CREATE TABLE serving.model_directive (
    directive_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL,
    reference text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL
);
COMMENT ON TABLE serving.model_directive IS 'Grain: one instruction about which version of a model should serve. The newest of each model applies; without one, the alias champion is followed. Append-only.';
COMMENT ON COLUMN serving.model_directive.directive_id IS 'Increases with every instruction. Workers report the newest that they have carried out.';
COMMENT ON COLUMN serving.model_directive.model_name IS 'Name of the model in the registry.';
COMMENT ON COLUMN serving.model_directive.reference IS 'Version number that should serve, or alias that should be followed.';
COMMENT ON COLUMN serving.model_directive.created_at IS 'When the instruction was given.';
COMMENT ON COLUMN serving.model_directive.created_by IS 'Account that gave the instruction.';
CREATE INDEX model_directive_newest ON serving.model_directive (model_name, directive_id DESC);
GRANT SELECT, INSERT ON serving.model_directive TO okr_serving;

CREATE TABLE serving.worker_model (
    worker_id uuid NOT NULL REFERENCES serving.worker ON DELETE CASCADE,
    model_name text NOT NULL,
    directive_id bigint NOT NULL,
    problem text,
    versions jsonb NOT NULL CHECK (jsonb_typeof(versions) = 'array'),
    reported_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (worker_id, model_name)
);
COMMENT ON TABLE serving.worker_model IS 'Grain: one model in one worker, with the versions that the worker has loaded.';
COMMENT ON COLUMN serving.worker_model.worker_id IS 'Worker that has loaded the versions.';
COMMENT ON COLUMN serving.worker_model.model_name IS 'Name of the model in the registry.';
COMMENT ON COLUMN serving.worker_model.directive_id IS 'Newest instruction that the worker has carried out or failed to carry out; 0 before the first.';
COMMENT ON COLUMN serving.worker_model.problem IS 'Why the worker does not serve the version that it should; null if it does.';
COMMENT ON COLUMN serving.worker_model.versions IS 'List of objects: version, role, arm (null for the version that serves outside of experiments), loaded_at.';
COMMENT ON COLUMN serving.worker_model.reported_at IS 'When the worker wrote this row.';
GRANT SELECT, INSERT, UPDATE ON serving.worker_model TO okr_serving;

CREATE TABLE serving.experiment (
    experiment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 128),
    model_name text NOT NULL,
    unit text NOT NULL CHECK (unit IN ('key_result', 'team', 'account')),
    salt text NOT NULL CHECK (length(salt) BETWEEN 1 AND 128),
    arms jsonb NOT NULL CHECK (jsonb_typeof(arms) = 'array'),
    guardrails jsonb NOT NULL CHECK (jsonb_typeof(guardrails) = 'object'),
    state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'running', 'stopped')),
    stopped_arms jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(stopped_arms) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    started_at timestamptz,
    stopped_at timestamptz,
    stopped_because text,
    CHECK ((state = 'draft') = (started_at IS NULL)),
    CHECK ((state = 'stopped') = (stopped_at IS NOT NULL))
);
COMMENT ON TABLE serving.experiment IS 'Grain: one experiment (A/B test or shadow) with the versions of one model.';
COMMENT ON COLUMN serving.experiment.experiment_id IS 'Number of the experiment.';
COMMENT ON COLUMN serving.experiment.name IS 'Name that is recorded with each of its predictions.';
COMMENT ON COLUMN serving.experiment.model_name IS 'Name of the model in the registry.';
COMMENT ON COLUMN serving.experiment.unit IS 'What is assigned to an arm and keeps it: key_result, team or account.';
COMMENT ON COLUMN serving.experiment.salt IS 'Hashed together with the id of the unit. Another salt gives another assignment.';
COMMENT ON COLUMN serving.experiment.arms IS 'List of objects: name, reference (version or alias), share (0-1), is_shadow.';
COMMENT ON COLUMN serving.experiment.guardrails IS 'Limits that stop an arm: max_error_share, max_latency_ms, min_calls, window_minutes.';
COMMENT ON COLUMN serving.experiment.state IS 'draft, running or stopped. A stopped experiment is never started again.';
COMMENT ON COLUMN serving.experiment.stopped_arms IS 'Arms that a guardrail has stopped, with the reason.';
COMMENT ON COLUMN serving.experiment.created_at IS 'When the experiment was defined.';
COMMENT ON COLUMN serving.experiment.created_by IS 'Account or command that defined it.';
COMMENT ON COLUMN serving.experiment.started_at IS 'When it was started; null for a draft.';
COMMENT ON COLUMN serving.experiment.stopped_at IS 'When it was stopped; null until then.';
COMMENT ON COLUMN serving.experiment.stopped_because IS 'Why it was stopped, as given by the account or guardrail that stopped it.';
CREATE UNIQUE INDEX experiment_one_running_by_model ON serving.experiment (model_name) WHERE state = 'running';
GRANT SELECT, INSERT, UPDATE ON serving.experiment TO okr_serving;

CREATE TABLE serving.experiment_arm_minute (
    experiment_id bigint NOT NULL REFERENCES serving.experiment,
    arm text NOT NULL,
    minute timestamptz NOT NULL,
    calls bigint NOT NULL CHECK (calls >= 0),
    failed_calls bigint NOT NULL CHECK (failed_calls >= 0),
    slow_calls bigint NOT NULL CHECK (slow_calls >= 0),
    PRIMARY KEY (experiment_id, arm, minute)
);
COMMENT ON TABLE serving.experiment_arm_minute IS 'Grain: one arm of an experiment in one minute, with the calls of its model on all workers. Guardrails read it.';
COMMENT ON COLUMN serving.experiment_arm_minute.experiment_id IS 'Experiment of the arm.';
COMMENT ON COLUMN serving.experiment_arm_minute.arm IS 'Name of the arm.';
COMMENT ON COLUMN serving.experiment_arm_minute.minute IS 'Start of the minute, by the clock of PostgreSQL.';
COMMENT ON COLUMN serving.experiment_arm_minute.calls IS 'Calls of the model: batches of all current key results, requests with features, and shadow requests.';
COMMENT ON COLUMN serving.experiment_arm_minute.failed_calls IS 'Calls that raised an error or returned an invalid output.';
COMMENT ON COLUMN serving.experiment_arm_minute.slow_calls IS 'Calls for a request that took longer than the guardrail max_latency_ms.';
GRANT SELECT, INSERT, UPDATE, DELETE ON serving.experiment_arm_minute TO okr_serving;
