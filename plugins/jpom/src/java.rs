//! H2's own tools, run by the host with Java.
//!
//! They take a password as an argument alone, and arguments are visible to every user of a machine. So the tool's class, user and
//! password stand in an argument file in the scratch folder, which the launcher reads up to the main class and what follows it in
//! the file; all else stays visible in the command.

use copal_sdk::{Command, Fragment, Location, Step, WriteFile, literal};

use crate::application_yml::Settings;
use crate::config::{Config, Secret};
use crate::h2::Release;

/// Seconds that a tool is given.
const TIMEOUT: u32 = 6 * 60 * 60;

/// Where the tools are, and who they are to the database.
pub(crate) struct Java {
    program: String,
    jar: String,
    user: String,
    password: String,
}

/// The user and the password that Jpom gives its database where nothing else is said.
const DEFAULT: &str = "jpom";

/// A database for a tool.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// Its path without suffix, absolute once the host has put in `{scratch}` or `{root:NAME}`.
    pub(crate) path: String,
    /// Options of the URL, each `NAME=VALUE`.
    pub(crate) options: Vec<String>,
}

impl Database {
    /// The database at `path`, opened as Jpom's settings say.
    pub(crate) fn new(path: String, settings: &Settings) -> Self {
        let url = settings.database();
        let options = match url {
            Some(url) => url.reading_options().map(str::to_owned).collect(),
            None => vec!["MODE=MYSQL".to_owned()],
        };
        Self { path, options }
    }

    /// The same, opened so that nothing can be changed.
    pub(crate) fn read_only(mut self) -> Self {
        self.options.push("ACCESS_MODE_DATA=r".to_owned());
        self
    }

    /// A URL that never makes a new database where there is none.
    pub(crate) fn url(&self) -> String {
        let options = self.options.iter().map(|option| literal(option));
        options.fold(
            format!("jdbc:h2:{};IFEXISTS=TRUE", self.path),
            |url, option| format!("{url};{option}"),
        )
    }
}

impl Java {
    /// The tools that the operator configured, with the user and password of the configuration, else of `application.yml`.
    pub(crate) fn of(config: &Config, settings: &Settings) -> Option<Self> {
        let password = config
            .db_password
            .as_ref()
            .map(|Secret(text)| text.as_str());
        let password = password.unwrap_or_else(|| settings.password.or(DEFAULT));
        Some(Self {
            program: config.java.clone()?,
            jar: config.h2_jar.clone()?,
            user: user(config, settings).to_owned(),
            password: password.to_owned(),
        })
    }

    /// The release of H2 that the jar's name tells.
    pub(crate) fn release(&self) -> Option<Release> {
        Release::of_jar(&self.jar)
    }

    /// The command that writes a database as SQL to its standard output, which must be a pipe: H2 deletes a regular file
    /// before it writes to it, and H2 1.4 anything, which `/dev/fd/1` withstands and `/dev/stdout` would not.
    pub(crate) fn script(&self, database: &Database) -> Command {
        self.tool("Script", &["-url", &database.url(), "-script", "/dev/fd/1"])
    }

    /// The command that runs an SQL file of the scratch folder on a database and shows what its queries answer.
    pub(crate) fn run_script(&self, database: &Database, file: &str) -> Command {
        let file = format!("{{scratch}}/{file}");
        self.tool(
            "RunScript",
            &["-url", &database.url(), "-script", &file, "-showResults"],
        )
    }

    fn tool(&self, tool: &str, arguments: &[&str]) -> Command {
        let java = [literal(&self.program), "-cp".to_owned(), literal(&self.jar)];
        let file = format!("@{{scratch}}/{tool}.args");
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        Command::new(java.into_iter().chain([file]).chain(arguments)).timeout(TIMEOUT)
    }

    /// The step that writes the argument file of a tool.
    pub(crate) fn arguments(&self, tool: &str) -> Step {
        let user = literal(&quote(&self.user));
        let content = [
            Fragment::Plain(format!("org.h2.tools.{tool}\n-user {user}\n-password ")),
            Fragment::Secret(quote(&self.password)),
            Fragment::from("\n"),
        ];
        Step::new(
            format!("write-{}-arguments", tool.to_ascii_lowercase()),
            format!(
                "Write the user and password for org.h2.tools.{tool} where only this user can read them"
            ),
            WriteFile::new(Location::scratch(format!("{tool}.args")), content).mode(0o600),
        )
    }
}

/// The database's user.
pub(crate) fn user<'a>(config: &'a Config, settings: &'a Settings) -> &'a str {
    let user = config.db_user.as_deref();
    user.unwrap_or_else(|| settings.user.or(DEFAULT))
}

/// An argument as the launcher reads it from a file: in double quotes, within which a backslash escapes.
fn quote(argument: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in argument.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn java() -> Java {
        Java {
            program: "java".to_owned(),
            jar: "/opt/{h2}.jar".to_owned(),
            user: "jpom".to_owned(),
            password: "hunter2".to_owned(),
        }
    }

    #[test]
    fn a_command_shows_everything_but_the_password() {
        let database = Database {
            path: "{root:home}/db/Server".to_owned(),
            options: vec!["MODE=MYSQL".to_owned()],
        };
        assert_eq!(
            java().run_script(&database, "fixup.sql").argv.join(" "),
            "java -cp /opt/{{h2}}.jar @{scratch}/RunScript.args -url jdbc:h2:{root:home}/db/Server;IFEXISTS=TRUE;MODE=MYSQL \
             -script {scratch}/fixup.sql -showResults"
        );
        let step = format!("{:?}", java().arguments("RunScript"));
        assert!(step.contains("org.h2.tools.RunScript"));
        assert!(!step.contains("hunter2"));
    }

    #[test]
    fn arguments_are_quoted_as_the_launcher_reads_them() {
        assert_eq!(quote(r#"a "b" \c"#), r#""a \"b\" \\c""#);
        assert_eq!(quote("a\nb"), r#""a\nb""#);
    }
}
