//! How a running Metabase with a PostgreSQL application database is kept from changing it.
//!
//! As Metabase's own migration to its cloud does: read-only mode, a wait until every node has noticed, and no scheduled jobs. Unlike there, each step
//! has its undo, so a backup that fails or is cancelled leaves Metabase as it was.

use copal_sdk::{Command, Fragment, Location, Step, WriteFile};

use crate::config::{Config, Secret};
use crate::inspection::Inspection;
use crate::postgres::Postgres;
use crate::sql;

/// The steps, in their order.
pub(crate) fn steps(
    config: &Config,
    postgres: &Postgres<'_>,
    inspection: &Inspection,
) -> Vec<Step> {
    let mut steps: Vec<Step> = postgres.passfile().into_iter().collect();
    let told = tell(config, inspection);
    if told.is_some() {
        steps.extend(
            [("read-only", true), ("writable", false)]
                .map(|(name, value)| write_request(config, name, value)),
        );
    }
    steps.push(
        Step::new(
            "pause-database",
            "Turn Metabase's read-only mode on and pause its scheduler",
            postgres.run_openly(&sql::quiesce()),
        )
        .undo(postgres.run_openly(&sql::thaw())),
    );
    let aware = told.is_some() && inspection.nodes < 2;
    steps.extend(told);
    if inspection.nodes > 0 && !aware {
        let seconds = config.cache_interval.saturating_mul(3).div_ceil(2);
        let sleep = Command::new(["sleep".to_owned(), seconds.to_string()]);
        steps.push(Step::new(
            "wait-for-nodes",
            "Wait until every node of Metabase has noticed the read-only mode",
            sleep.timeout(seconds.saturating_add(60).min(604_800)),
        ));
    }
    steps
}

/// The step that tells a running Metabase itself; none where it is not to be asked. What a person had made read-only stays so.
fn tell(config: &Config, inspection: &Inspection) -> Option<Step> {
    config.api_url.as_ref()?;
    let step = Step::new(
        "tell-metabase",
        "Tell Metabase that it is read-only",
        request("read-only"),
    );
    let was_on = inspection.read_only.is_some() && !inspection.quiesced;
    let was_on = was_on && inspection.read_only.as_deref() != Some("false");
    Some(if was_on {
        step
    } else {
        step.undo(request("writable"))
    })
}

/// curl with a configuration of the scratch folder, because an undo must not hold the key.
fn request(name: &str) -> Command {
    Command::new([
        "curl".to_owned(),
        "--config".to_owned(),
        format!("{{scratch}}/{name}.curl"),
    ])
}

fn write_request(config: &Config, name: &str, value: bool) -> Step {
    let url = config.api_url.as_deref().unwrap_or_default();
    let url = url
        .trim_end_matches('/')
        .replace('{', "{{")
        .replace('}', "}}");
    let key = config.api_key.as_ref().map(|Secret(key)| key.as_str());
    let key = key
        .unwrap_or_default()
        .replace('\\', "\\\\")
        .replace('"', "\\\"");
    let content = [
        Fragment::Plain(format!(
            "fail\nsilent\nshow-error\ngloboff\nmax-time = 60\nrequest = PUT\nurl = \"{url}/api/setting/read-only-mode\"\n\
             header = \"Content-Type: application/json\"\ndata = \"{{{{\\\"value\\\": {value}}}}}\"\nheader = \"x-api-key: "
        )),
        Fragment::secret(key),
        Fragment::from("\"\n"),
    ];
    Step::new(
        format!("write-{name}-request"),
        format!(
            "Write the request that makes Metabase {name}, with the API's key, where only this user can read it"
        ),
        WriteFile::new(Location::scratch(format!("{name}.curl")), content).mode(0o600),
    )
}
