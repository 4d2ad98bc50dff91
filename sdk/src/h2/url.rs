//! JDBC URLs of H2.

/// Where a JDBC URL of H2 has its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file that the application opens itself: its path without [`FILE_SUFFIX`](super::FILE_SUFFIX), as the URL spells it.
    File(String),
    /// Another process serves it.
    Server,
    /// Nowhere: it lives in memory.
    Memory,
    /// A file system of H2 that is no plain file, such as `zip:`; the text is its prefix.
    Special(String),
}

/// A JDBC URL of H2, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Where the database is.
    pub place: Place,
    /// What follows the path, each `NAME=VALUE`.
    pub options: Vec<String>,
}

impl Url {
    /// Takes a URL apart; none where it is not one of H2.
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.trim().strip_prefix("jdbc:h2:")?;
        let mut parts = rest.split(';');
        let place = parts.next().unwrap_or_default();
        let options = parts.map(str::trim).filter(|option| !option.is_empty());
        Some(Self {
            place: Place::parse(place),
            options: options.map(str::to_owned).collect(),
        })
    }

    /// The options that decide how a database is read, so that another program must give them too. Left out are the ones that
    /// hold a password or make the connection do more than connect.
    pub fn reading_options(&self) -> impl Iterator<Item = &str> {
        const READING: [&str; 5] = [
            "MODE",
            "DATABASE_TO_UPPER",
            "DATABASE_TO_LOWER",
            "CASE_INSENSITIVE_IDENTIFIERS",
            "NON_KEYWORDS",
        ];
        self.options.iter().map(String::as_str).filter(|option| {
            let name = option.split('=').next().unwrap_or_default();
            READING.iter().any(|known| known.eq_ignore_ascii_case(name))
        })
    }

    /// Whether the database file is encrypted, so that another program would need its file password.
    pub fn encrypted(&self) -> bool {
        self.options.iter().any(|option| {
            let name = option.split('=').next().unwrap_or_default();
            name.eq_ignore_ascii_case("CIPHER")
        })
    }
}

impl Place {
    fn parse(place: &str) -> Self {
        let Some((prefix, rest)) = place.split_once(':') else {
            return Self::File(place.to_owned());
        };
        match prefix {
            "file" | "nio" | "async" => Self::File(rest.to_owned()),
            "tcp" | "ssl" => Self::Server,
            "mem" | "nioMemFS" | "memFS" => Self::Memory,
            // A drive letter.
            drive if drive.len() == 1 => Self::File(place.to_owned()),
            other => Self::Special(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_tells_where_the_database_is() {
        let place = |url: &str| Url::parse(url).map(|url| url.place);
        let path = |path: &str| Some(Place::File(path.to_owned()));
        assert_eq!(
            place("jdbc:h2:/srv/db/Server;MODE=MYSQL"),
            path("/srv/db/Server")
        );
        assert_eq!(place("jdbc:h2:file:~/db/Server"), path("~/db/Server"));
        assert_eq!(place("jdbc:h2:C:/db/Server"), path("C:/db/Server"));
        assert_eq!(place("jdbc:h2:tcp://db/x"), Some(Place::Server));
        assert_eq!(place("jdbc:h2:mem:x"), Some(Place::Memory));
        assert_eq!(
            place("jdbc:h2:zip:~/a.zip!/x"),
            Some(Place::Special("zip".to_owned()))
        );
        assert_eq!(place("jdbc:mysql://db/jpom"), None);
    }

    #[test]
    fn only_options_that_decide_how_a_database_is_read_are_passed_on() {
        let url = Url::parse(
            "jdbc:h2:/db/Server;CACHE_SIZE=51200;mode=MYSQL;PASSWORD=x;INIT=RUNSCRIPT FROM 'y'",
        )
        .unwrap();
        assert_eq!(url.reading_options().collect::<Vec<_>>(), ["mode=MYSQL"]);
        assert!(!url.encrypted());
    }

    proptest! {
        #[test]
        fn hostile_urls_never_panic(text in "(jdbc:h2:)?.{0,40}") {
            let _ = Url::parse(&text);
        }
    }
}
