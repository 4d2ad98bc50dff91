//! H2's own tools, run by the host with Java.
//!
//! They take a password as an argument alone, and arguments are visible to every user of a machine. So the tool's class, user and
//! password stand in an argument file in the scratch folder, which the launcher reads up to the main class and what follows it in
//! the file; all else stays visible in the command. (Argument files need Java 9.)

use std::fmt;

use super::Release;
use crate::{Command, Failure, Fragment, Location, Step, WriteFile, literal};

/// Seconds that a tool is given.
const TIMEOUT: u32 = 6 * 60 * 60;

/// What no path in a URL may hold.
pub const OUTSIDE: [char; 2] = [';', '\\'];

/// A database for a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    path: String,
    options: Vec<String>,
}

impl Database {
    /// The database at `path`: without suffix, absolute once the host has put in `{scratch}` or `{root:NAME}`. The options are the URL's, each
    /// `NAME=VALUE`.
    ///
    /// Fails with `h2.path` where the path holds `;` or `\`: a URL ends its path at the first semicolon, and what follows it H2 may execute. The same
    /// holds for the place of a root that is put in later, which the caller has to look at.
    pub fn new(
        path: impl Into<String>,
        options: impl IntoIterator<Item = String>,
    ) -> Result<Self, Failure> {
        let path = path.into();
        if path.contains(OUTSIDE) {
            return Err(Failure::unsupported(
                "h2.path",
                format!("the database {path:?} can't be named in a URL, because `;` or a backslash is in its path"),
            )
            .remedy("give it and its folder a name without them"));
        }
        Ok(Self {
            path,
            options: options.into_iter().collect(),
        })
    }

    /// The same, opened so that nothing can be changed. H2 refuses that where the database has yet to be repaired.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.options.push("ACCESS_MODE_DATA=r".to_owned());
        self
    }

    /// A URL that never makes a new database where there is none.
    pub fn url(&self) -> String {
        let options = self.options.iter().map(|option| literal(option));
        options.fold(
            format!("jdbc:h2:{};IFEXISTS=TRUE", self.path),
            |url, option| format!("{url};{option}"),
        )
    }
}

/// Where the tools are, and who they are to the database. Each tool needs the step of [`arguments`](Self::arguments) first.
pub struct Tools {
    java: String,
    jar: String,
    user: String,
    password: String,
}

impl Tools {
    /// The tools of H2's `jar`, run by the program `java`, for a user of the database.
    pub fn new(
        java: impl Into<String>,
        jar: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        Self {
            java: java.into(),
            jar: jar.into(),
            user: user.into(),
            password: password.into(),
        }
    }

    /// The release of H2 that the jar's name tells.
    pub fn release(&self) -> Option<Release> {
        Release::of_jar(&self.jar)
    }

    /// The command that writes a database as SQL to its standard output, which must be a pipe: H2 deletes a regular file
    /// before it writes to it, and H2 1.4 anything, which `/dev/fd/1` withstands and `/dev/stdout` would not. Needs the arguments of `Script`.
    pub fn script(&self, database: &Database) -> Command {
        self.tool("Script", &["-url", &database.url(), "-script", "/dev/fd/1"])
    }

    /// The command that runs an SQL file of the scratch folder on a database and shows what its queries answer. Needs the arguments of `RunScript`.
    pub fn run_script(&self, database: &Database, file: &str) -> Command {
        let file = format!("{{scratch}}/{file}");
        self.tool(
            "RunScript",
            &["-url", &database.url(), "-script", &file, "-showResults"],
        )
    }

    fn tool(&self, tool: &str, arguments: &[&str]) -> Command {
        let java = [literal(&self.java), "-cp".to_owned(), literal(&self.jar)];
        let file = format!("@{{scratch}}/{tool}.args");
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        Command::new(java.into_iter().chain([file]).chain(arguments)).timeout(TIMEOUT)
    }

    /// The step `write-TOOL-arguments`, which writes the argument file of a tool.
    pub fn arguments(&self, tool: &str) -> Step {
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

/// Never the password.
impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools")
            .field("java", &self.java)
            .field("jar", &self.jar)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
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

    #[test]
    fn a_command_shows_everything_but_the_password() {
        let tools = Tools::new("java", "/opt/{h2}.jar", "sa", "hunter2");
        let database = Database::new("{root:home}/db/Server", ["MODE=MYSQL".to_owned()]).unwrap();
        assert_eq!(
            tools.run_script(&database, "fixup.sql").argv.join(" "),
            "java -cp /opt/{{h2}}.jar @{scratch}/RunScript.args -url jdbc:h2:{root:home}/db/Server;IFEXISTS=TRUE;MODE=MYSQL \
             -script {scratch}/fixup.sql -showResults"
        );
        let step = format!("{:?} {tools:?}", tools.arguments("RunScript"));
        assert!(step.contains("org.h2.tools.RunScript"));
        assert!(!step.contains("hunter2"));
    }

    #[test]
    fn a_path_that_would_go_on_as_options_is_refused() {
        for path in ["/db/x;INIT=RUNSCRIPT FROM '/y'", r"/db/x\"] {
            assert_eq!(Database::new(path, []).unwrap_err().code, "h2.path");
        }
    }

    #[test]
    fn arguments_are_quoted_as_the_launcher_reads_them() {
        assert_eq!(quote(r#"a "b" \c"#), r#""a \"b\" \\c""#);
        assert_eq!(quote("a\nb"), r#""a\nb""#);
    }
}
