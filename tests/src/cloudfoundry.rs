//! A Cloud Foundry's databases and blobstore: one of the 3.1 era that has been in use, and a freshly installed one of a later release.

use std::path::{Path, PathBuf};

use crate::postgres::{Database, Postgres, USER};

/// The key that the sample's values are encrypted with.
pub const KEY: &str = "paasta-db-encryption-key";

/// The sample's system domain.
pub const DOMAIN: &str = "115.68.46.29.xip.io";

/// What `--grant` takes for all that a backup and a restore over a socket do.
pub const GRANTS: [&str; 7] = [
    "probe:psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d * -h * -p * -U *",
    "run:psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d * -h * -p * -U *",
    "run:pg_dump --data-only --no-password --encoding=UTF8 -d * -h * -p * -U *",
    "run:pg_dump --schema-only --no-owner --no-privileges --no-password --encoding=UTF8 -d * -h * -p * -U *",
    "run:pg_dump --format=custom --compress=0 --no-password -d * -h * -p * -U *",
    "run:pg_restore --clean --if-exists --single-transaction --no-password -d * -h * -p * -U *",
    "probe:getent passwd *",
];

/// What later releases have added, with a required column that has a default and a sequence that is gone.
const LATER_CCDB: &str = "
ALTER TABLE apps ADD COLUMN revisions_enabled boolean NOT NULL DEFAULT true;
ALTER TABLE droplets ADD COLUMN docker_receipt_username text;
CREATE TABLE encryption_key_sentinels (id serial PRIMARY KEY, expected_value text NOT NULL);
CREATE TABLE app_labels (id serial PRIMARY KEY, resource_guid text REFERENCES apps(guid), key_name text);
";
const LATER_UAADB: &str = "
ALTER TABLE users ADD COLUMN passwd_change_required boolean NOT NULL DEFAULT false;
CREATE TABLE mfa_providers (id varchar(36) PRIMARY KEY, name varchar(255) NOT NULL);
";

/// What an installation makes by itself before anybody uses it.
const SEEDS_CCDB: &str = "
INSERT INTO schema_migrations VALUES ('20130131184954_new_initial_schema.rb'), ('20130219194917_create_stacks_table.rb'),
  ('20171123191651_add_index_to_service_binding_on_name.rb'), ('20190101000000_add_revisions.rb');
INSERT INTO quota_definitions (guid, name, non_basic_services_allowed, total_services, memory_limit, total_routes) VALUES ('q', 'default', true, 100, 10240, 1000);
INSERT INTO organizations (guid, name, quota_definition_id) VALUES ('o', 'system', 1);
INSERT INTO domains (guid, name) VALUES ('d', '115.68.46.29.xip.io');
INSERT INTO spaces (guid, name, organization_id) VALUES ('s', 'system', 1);
INSERT INTO users (guid, admin, active) VALUES ('21232f29-7a57-a5a7-4389-4a0e4a801fc3', true, true);
INSERT INTO organizations_users VALUES (1, 1);
INSERT INTO stacks (guid, name) VALUES ('st', 'cflinuxfs3');
INSERT INTO buildpacks (guid, name, key, position, filename) VALUES ('b', 'java_buildpack', 'b_1', 1, 'java-buildpack-v4.16.zip');
INSERT INTO env_groups (guid, name, environment_json, salt) VALUES ('e', 'running', 'recRcOoUHckf9Hp6/r5yyg==', '8899aabb');
INSERT INTO security_groups (guid, name, rules) VALUES ('g', 'dns', '[]');
INSERT INTO clock_jobs (name) VALUES ('app_usage_events');
INSERT INTO lockings (name) VALUES ('buildpacks');
INSERT INTO encryption_key_sentinels (expected_value) VALUES ('sentinel');
";
const SEEDS_UAADB: &str = "
INSERT INTO schema_version (installed_rank, version, description, type, script, installed_by, execution_time, success)
  SELECT 900 + i, '9.' || i, 'migration', 'SQL', 'V9.sql', 'uaaadmin', 1, true FROM generate_series(1, 5) i;
INSERT INTO identity_zone (id, subdomain, name) VALUES ('uaa', '', 'uaa');
INSERT INTO identity_provider (id, identity_zone_id, name, origin_key, type) VALUES ('fresh', 'uaa', 'uaa', 'uaa', 'uaa');
INSERT INTO users (id, username, password, email) VALUES ('fresh-admin', 'admin', 'x', 'admin');
INSERT INTO groups (id, displayname) VALUES ('fresh-group', 'cloud_controller.admin');
INSERT INTO group_membership (group_id, member_id) VALUES ('fresh-group', 'fresh-admin');
INSERT INTO oauth_client_details (client_id, client_secret) VALUES ('cf', '');
";

/// One foundation.
#[derive(Debug, Clone)]
pub struct Foundation {
    /// The Cloud Controller's database.
    pub ccdb: Database,
    /// UAA's database.
    pub uaadb: Database,
    blobstore: PathBuf,
}

impl Foundation {
    /// A foundation of the 3.1 era that has been in use: the sample, with an app's blobs.
    pub fn in_use(server: &Postgres, blobstore: &Path) -> Self {
        let foundation = Self::made(server, "old", blobstore);
        foundation.ccdb.run(data("ccdb_schema.sql"));
        foundation.ccdb.run(data("ccdb_data.sql"));
        foundation.uaadb.run(data("uaadb_schema.sql"));
        foundation.uaadb.run(data("uaadb_data.sql"));
        for kind in ["buildpacks", "droplets", "packages", "resources"] {
            foundation.blob(&format!("{DOMAIN}-cc-{kind}/ab/cd/abcd-{kind}"), kind);
        }
        foundation.blob(
            &format!("{DOMAIN}-cc-droplets/buildpack_cache/ab/cd/cache"),
            "cache",
        );
        foundation
    }

    /// A freshly installed foundation of a later release, whose schema has grown.
    pub fn fresh(server: &Postgres, blobstore: &Path) -> Self {
        let foundation = Self::made(server, "new", blobstore);
        foundation.ccdb.run(data("ccdb_schema.sql"));
        foundation.ccdb.run([LATER_CCDB, SEEDS_CCDB].concat());
        foundation.uaadb.run(data("uaadb_schema.sql"));
        foundation.uaadb.run([LATER_UAADB, SEEDS_UAADB].concat());
        for kind in ["buildpacks", "droplets", "packages", "resources"] {
            std::fs::create_dir_all(blobstore.join(format!("cc-{kind}"))).unwrap();
        }
        foundation.blob("cc-buildpacks/b_/1/b_1", "a newer buildpack");
        foundation
    }

    /// Two empty databases, and a folder that is not there yet.
    pub fn empty(server: &Postgres, blobstore: &Path) -> Self {
        Self::made(server, "empty", blobstore)
    }

    fn made(server: &Postgres, name: &str, blobstore: &Path) -> Self {
        Self {
            ccdb: server.create(&format!("ccdb_{name}")),
            uaadb: server.create(&format!("uaadb_{name}")),
            blobstore: blobstore.to_owned(),
        }
    }

    /// Where the blobs are.
    pub fn blobstore(&self) -> &Path {
        &self.blobstore
    }

    /// Writes a blob.
    pub fn blob(&self, path: &str, content: &str) {
        let path = self.blobstore.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// What `--set` takes to find the databases.
    pub fn settings(&self, server: &Postgres) -> Vec<String> {
        vec![
            format!("host={}", server.socket().display()),
            format!("port={}", server.port()),
            format!("user={USER}"),
            format!("ccdb={}", self.ccdb.name()),
            format!("uaadb={}", self.uaadb.name()),
        ]
    }
}

/// A file of the sample.
pub fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data/cloudfoundry")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
