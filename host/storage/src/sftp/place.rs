//! Where a repository lies that is reached by SFTP.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// A directory on another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) user: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Absolute, or relative to the user's home.
    pub(crate) root: String,
    /// The program `ssh` with its first arguments.
    pub(crate) ssh: Vec<String>,
}

impl Place {
    /// Understands `sftp://USER@HOST:PORT/PATH`. As with other programs, `/~/PATH` begins at the user's home.
    pub(crate) fn parse(url: &Url) -> Result<Self, &'static str> {
        let decode = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_| "it is not UTF-8")
        };
        let host = match url.host() {
            Some(Host::Domain(host)) if !host.is_empty() => decode(host)?,
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err("it names no host"),
        };
        let user = decode(url.username())?;
        let user = (!user.is_empty()).then_some(user);
        if url.password().is_some() {
            return Err(
                "SFTP takes no password from the address: give the user a key, which `ssh` finds",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("an address of SFTP has neither `?` nor `#`: write `%3F` and `%23`");
        }
        let strange = |text: &str| {
            text.starts_with('-') || text.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if strange(&host) || user.as_deref().is_some_and(strange) {
            return Err("neither user nor host begins with `-` or holds blanks");
        }
        let path = decode(url.path())?;
        let path = path.trim_end_matches('/');
        let root = match path.strip_prefix("/~") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
            _ => path,
        };
        if root.is_empty() || root.contains('\0') {
            return Err("it names no directory");
        }
        Ok(Self {
            user,
            host,
            port: url.port(),
            root: root.to_owned(),
            ssh: vec!["ssh".to_owned()],
        })
    }

    /// The program that connects, and its arguments.
    ///
    /// Host keys that are not known are refused, whatever the user's own settings say. Nothing is asked, since mostly there is nobody to answer.
    pub(super) fn command(&self) -> (&str, Vec<String>) {
        let (program, first) = self
            .ssh
            .split_first()
            .map_or(("ssh", &[][..]), |(program, first)| {
                (program.as_str(), first)
            });
        let mut arguments = first.to_vec();
        for option in [
            "StrictHostKeyChecking=yes",
            "BatchMode=yes",
            "ConnectTimeout=10",
            // A host that is gone without a word is noticed within a minute.
            "ServerAliveInterval=15",
            "ServerAliveCountMax=4",
            "ForwardAgent=no",
            "ForwardX11=no",
            "ClearAllForwardings=yes",
            // One that others share would be governed by their options.
            "ControlPath=none",
        ] {
            arguments.extend(["-o".to_owned(), option.to_owned()]);
        }
        if let Some(port) = self.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        if let Some(user) = &self.user {
            arguments.extend(["-l".to_owned(), user.clone()]);
        }
        let last = ["-s", "--", &self.host, "sftp"];
        arguments.extend(last.map(str::to_owned));
        (program, arguments)
    }

    /// What a person types to reach the same server, after `ssh` or `ssh-keyscan`.
    pub(crate) fn target(&self) -> (String, String) {
        let port = self
            .port
            .map(|port| format!("-p {port} "))
            .unwrap_or_default();
        let user = self
            .user
            .as_ref()
            .map(|user| format!("{user}@"))
            .unwrap_or_default();
        (
            format!("{port}{user}{}", self.host),
            format!("{port}{}", self.host),
        )
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sftp://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.root.starts_with('/') {
            true => f.write_str(&self.root),
            false => write!(f, "/~/{}", self.root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Place, &'static str> {
        Place::parse(&Url::parse(text).unwrap())
    }

    #[test]
    fn addresses_lead_to_a_directory() {
        for (text, shown, root) in [
            (
                "sftp://me@h:2222/srv/a%20b/",
                "sftp://me@h:2222/srv/a b",
                "/srv/a b",
            ),
            ("sftp://h/~/backup", "sftp://h/~/backup", "backup"),
            ("sftp://[::1]/x", "sftp://[::1]/x", "/x"),
            ("sftp://h/~x", "sftp://h/~x", "/~x"),
        ] {
            let place = parse(text).unwrap();
            assert_eq!(place.to_string(), shown);
            assert_eq!(place.root, root);
        }
        for text in [
            "sftp://h",
            "sftp://h/",
            "sftp://h/~",
            "sftp:///x",
            "sftp://me:secret@h/x",
            "sftp://-oProxyCommand=x/y",
            "sftp://-l@h/y",
            "sftp://%2doProxyCommand=x/y",
            "sftp://h/x?y",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_program_is_told_to_check_and_never_to_ask() {
        let mut place = parse("sftp://me@h:22/x").unwrap();
        place.ssh = ["ssh", "-i", "key"].map(str::to_owned).to_vec();
        let (program, arguments) = place.command();
        let arguments = arguments.join(" ");
        assert_eq!(program, "ssh");
        assert!(arguments.starts_with("-i key -o StrictHostKeyChecking=yes -o BatchMode=yes"));
        assert!(
            arguments.ends_with("-p 22 -l me -s -- h sftp"),
            "{arguments}"
        );
    }
}
