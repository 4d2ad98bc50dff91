-- The parts of Metabase's application database that matter to a backup, with rows of an instance in use. {key} and {value} are spelled as the
-- database has it, {email} is the type of an address.
CREATE TABLE databasechangelog (id varchar(255) NOT NULL, author varchar(255) NOT NULL, filename varchar(255) NOT NULL,
  dateexecuted timestamp NOT NULL, orderexecuted integer NOT NULL, exectype varchar(10) NOT NULL, md5sum varchar(35));
CREATE TABLE databasechangeloglock (id integer PRIMARY KEY, locked boolean NOT NULL, lockgranted timestamp, lockedby varchar(255));
CREATE TABLE setting ({key} varchar(254) PRIMARY KEY, {value} text NOT NULL);
CREATE TABLE core_user (id integer PRIMARY KEY, email {email} NOT NULL UNIQUE, first_name varchar(254), settings text);
CREATE TABLE core_session (id varchar(254) PRIMARY KEY, user_id integer NOT NULL REFERENCES core_user (id) ON DELETE CASCADE, created_at timestamp NOT NULL);
CREATE TABLE login_history (id integer PRIMARY KEY, user_id integer NOT NULL REFERENCES core_user (id) ON DELETE CASCADE,
  session_id varchar(254) REFERENCES core_session (id) ON DELETE SET NULL);
CREATE TABLE metabase_database (id integer PRIMARY KEY, name varchar(254) NOT NULL, engine varchar(254) NOT NULL, details text NOT NULL);
CREATE TABLE report_card (id integer PRIMARY KEY, name varchar(254) NOT NULL, dataset_query text NOT NULL, creator_id integer NOT NULL REFERENCES core_user (id),
  database_id integer REFERENCES metabase_database (id));
CREATE TABLE report_dashboard (id integer PRIMARY KEY, name varchar(254) NOT NULL, creator_id integer NOT NULL REFERENCES core_user (id));
CREATE TABLE secret (id integer PRIMARY KEY, name varchar(254) NOT NULL, {value} bytea NOT NULL);
CREATE TABLE query_cache (query_hash bytea PRIMARY KEY, updated_at timestamp NOT NULL, results bytea NOT NULL);
CREATE TABLE cloud_migration (id integer PRIMARY KEY, external_id text NOT NULL, upload_url text NOT NULL, state varchar(32) NOT NULL, progress integer NOT NULL);
CREATE TABLE qrtz_job_details (sched_name varchar(120) NOT NULL, job_name varchar(200) NOT NULL, job_group varchar(200) NOT NULL,
  job_class_name varchar(250) NOT NULL, job_data bytea, PRIMARY KEY (sched_name, job_name, job_group));
CREATE TABLE qrtz_triggers (sched_name varchar(120) NOT NULL, trigger_name varchar(200) NOT NULL, trigger_group varchar(200) NOT NULL,
  job_name varchar(200) NOT NULL, job_group varchar(200) NOT NULL, next_fire_time bigint, trigger_state varchar(16) NOT NULL,
  PRIMARY KEY (sched_name, trigger_name, trigger_group),
  FOREIGN KEY (sched_name, job_name, job_group) REFERENCES qrtz_job_details (sched_name, job_name, job_group));
CREATE TABLE qrtz_fired_triggers (sched_name varchar(120) NOT NULL, entry_id varchar(95) NOT NULL, trigger_name varchar(200) NOT NULL,
  instance_name varchar(200) NOT NULL, state varchar(16) NOT NULL, PRIMARY KEY (sched_name, entry_id));
CREATE TABLE qrtz_paused_trigger_grps (sched_name varchar(120) NOT NULL, trigger_group varchar(200) NOT NULL, PRIMARY KEY (sched_name, trigger_group));
CREATE TABLE qrtz_scheduler_state (sched_name varchar(120) NOT NULL, instance_name varchar(200) NOT NULL, last_checkin_time bigint NOT NULL,
  checkin_interval bigint NOT NULL, PRIMARY KEY (sched_name, instance_name));
CREATE TABLE qrtz_locks (sched_name varchar(120) NOT NULL, lock_name varchar(40) NOT NULL, PRIMARY KEY (sched_name, lock_name));

INSERT INTO databasechangelog VALUES ('1', 'agilliland', 'migrations/000_migrations.yaml', '2023-01-01 10:00:00', 1, 'EXECUTED', '8:abc'),
  ('v49.2024-05-20T18:00:00', 'a', 'migrations/001_update_migrations.yaml', '2024-06-01 10:00:00', 2, 'EXECUTED', '9:def'),
  ('v50.2024-05-13T16:00:00', 'b', 'migrations/001_update_migrations.yaml', '2024-07-01 10:00:00', 3, 'EXECUTED', '9:ghi');
INSERT INTO databasechangeloglock VALUES (1, FALSE, NULL, NULL);
INSERT INTO setting VALUES ('site-uuid', 'd1f0b4c2-6a0e-4a53-9a55-3f8f0f3b8b11'), ('site-uuid-for-premium-features-token-checks', 'e2'),
  ('analytics-uuid', 'f3'), ('premium-embedding-token', '0123456789abcdef'), ('site-url', 'https://old.example'),
  ('site-name', 'O''Brien; "the" \. -- BI'), ('encryption-check', 'unencrypted'), ('settings-last-updated', '2024-07-01 10:00:00.000000+00');
INSERT INTO core_user VALUES (13371338, 'internal@metabase.com', 'Metabase', NULL), (1, 'Ada@example.com', 'Ada', '{"last-acknowledged-version":"v0.50.3"}'),
  (2, 'bob@example.com', 'Bob', NULL);
INSERT INTO core_session VALUES ('11111111-1111-1111-1111-111111111111', 1, '2024-07-01 10:00:00'), ('22222222-2222-2222-2222-222222222222', 2, '2024-07-01 11:00:00');
INSERT INTO login_history VALUES (1, 1, '11111111-1111-1111-1111-111111111111'), (2, 2, '22222222-2222-2222-2222-222222222222'), (3, 2, NULL);
INSERT INTO metabase_database VALUES (1, 'Sample', 'h2', '{"db":"zip:/app/metabase.jar!/sample-database.db"}'),
  (2, 'Shop', 'postgres', '{"host":"shop.example","password":"hunter2"}');
INSERT INTO report_card VALUES (1, 'Orders', '{"native":{"query":"SELECT ''a;b'', $$x$$, E''\\'' -- no"}}', 1, 2), (2, 'Ünïcode 报表', '{}', 2, 1);
INSERT INTO report_dashboard VALUES (1, 'Sales', 1);
INSERT INTO cloud_migration VALUES (1, 'x', 'https://upload.example', 'upload', 51), (2, 'y', 'https://upload.example', 'done', 100);
INSERT INTO qrtz_job_details VALUES ('MetabaseScheduler', 'metabase.task.sync.job', 'DEFAULT', 'metabase.task.sync', NULL);
INSERT INTO qrtz_triggers VALUES ('MetabaseScheduler', 'sync.1', 'DEFAULT', 'metabase.task.sync.job', 'DEFAULT', 1719824400000, 'WAITING'),
  ('MetabaseScheduler', 'sync.2', 'DEFAULT', 'metabase.task.sync.job', 'DEFAULT', 1719824400000, 'ACQUIRED'),
  ('MetabaseScheduler', 'sync.3', 'DEFAULT', 'metabase.task.sync.job', 'DEFAULT', 1719824400000, 'BLOCKED'),
  ('MetabaseScheduler', 'pulse.1', 'DEFAULT', 'metabase.task.sync.job', 'DEFAULT', 1719824400000, 'PAUSED');
INSERT INTO qrtz_fired_triggers VALUES ('MetabaseScheduler', 'e1', 'sync.3', 'node1', 'EXECUTING');
INSERT INTO qrtz_scheduler_state VALUES ('MetabaseScheduler', 'node1', 1719824400000, 7500);
INSERT INTO qrtz_locks VALUES ('MetabaseScheduler', 'TRIGGER_ACCESS'), ('MetabaseScheduler', 'STATE_ACCESS');
