//! What `conf/application.yml` says about the places and the database of a Jpom.
//!
//! The file is Spring Boot's: nested or dotted keys, relaxed names (`heart-second`, `heartSecond`), several documents of
//! which later ones win, and `${NAME:default}` placeholders in values. The environment that fills placeholders at run time
//! can't be seen from here, so a value remembers which of them it rests on.

use std::collections::BTreeMap;
use std::fmt;

use copal_sdk::h2::Url;
use copal_sdk::yaml::{self, Limits, Node};

/// The largest file that is read; Jpom's own has 5 KB.
pub(crate) const LARGEST: u64 = 1 << 20;

/// How deep placeholders may refer to one another.
const DEEPEST: usize = 8;

/// A value of the file, with its placeholders filled.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Value {
    /// The text; none where it is absent, empty, or needs a placeholder that has no default.
    pub(crate) text: Option<String>,
    /// The variables whose default was taken or that have none: the running Jpom may see another value.
    pub(crate) placeholders: Vec<String>,
}

impl Value {
    /// The text, or what Jpom takes where there is none.
    pub(crate) fn or<'a>(&'a self, default: &'a str) -> &'a str {
        self.text.as_deref().unwrap_or(default)
    }
}

/// Never the text: a value may be a password.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({:?})", self.placeholders)
    }
}

/// The settings that a backup or a restore depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `jpom.path`: the folder of `db` and `data`.
    pub(crate) path: Value,
    /// `jpom.db.mode`: `H2` unless it says otherwise.
    pub(crate) mode: Value,
    /// `jpom.db.url`.
    pub(crate) url: Value,
    /// `jpom.db.user-name`.
    pub(crate) user: Value,
    /// `jpom.db.user-pwd`: a secret.
    pub(crate) password: Value,
    /// `jpom.cluster.id`.
    pub(crate) cluster_id: Value,
    /// `jpom.cluster.heart-second`.
    pub(crate) heart_second: Value,
    /// `jpom.file-storage.save-pah` (spelled so by Jpom).
    pub(crate) file_storage: Value,
    /// Whether `jpom.user.token-jwt-key`, a secret, is set.
    pub(crate) has_token_key: bool,
}

impl Settings {
    /// `jpom.db.url`, taken apart; none where it is unknown or not one of H2.
    pub(crate) fn database(&self) -> Option<Url> {
        self.url.text.as_deref().and_then(Url::parse)
    }

    /// Reads the settings from the bytes of the file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, yaml::Error> {
        let properties = properties(bytes)?;
        let get = |name: &str| {
            let text = properties.get(&canonical(name));
            text.map_or_else(Value::default, |text| fill(text, &properties, 0))
        };
        Ok(Self {
            path: get("jpom.path"),
            mode: get("jpom.db.mode"),
            url: get("jpom.db.url"),
            user: get("jpom.db.user-name"),
            password: get("jpom.db.user-pwd"),
            cluster_id: get("jpom.cluster.id"),
            heart_second: get("jpom.cluster.heart-second"),
            file_storage: get("jpom.file-storage.save-pah"),
            has_token_key: get("jpom.user.token-jwt-key").text.is_some(),
        })
    }
}

/// Canonical names and the texts of all scalars that have one.
type Properties = BTreeMap<String, String>;

/// A name as relaxed binding compares it: lower-case, without `-` and `_`.
fn canonical(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '-' | '_'));
    kept.flat_map(char::to_lowercase).collect()
}

/// Flattens all documents into properties; a document for one profile alone is left out.
fn properties(bytes: &[u8]) -> Result<Properties, yaml::Error> {
    let mut all = Properties::new();
    for root in yaml::parse_all(bytes, Limits::default())? {
        let mut document = Properties::new();
        flatten(&root, "", &mut document);
        let conditional = ["spring.config.activate.onprofile", "spring.profiles"];
        if !conditional.iter().any(|name| document.contains_key(*name)) {
            all.extend(document);
        }
    }
    Ok(all)
}

/// Adds what is beneath a mapping of the name `base`. Lists hold nothing that is asked for, and a key that is no scalar is never Spring's.
fn flatten(mapping: &Node, base: &str, properties: &mut Properties) {
    for (key, value) in mapping.map() {
        let Some(key) = key.text().map(canonical) else {
            continue;
        };
        let path = if base.is_empty() {
            key
        } else {
            format!("{base}.{key}")
        };
        flatten(value, &path, properties);
        if value.is_null() {
            properties.insert(path, String::new());
        } else if let Some(text) = value.text() {
            properties.insert(path, text.to_owned());
        }
    }
}

/// Fills the placeholders of a text from other properties or their defaults.
fn fill(text: &str, properties: &Properties, depth: usize) -> Value {
    let mut value = Value::default();
    let mut filled = String::new();
    let mut whole = true;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let Some(end) = closing_brace(after) else {
            filled.push_str("${");
            rest = after;
            continue;
        };
        let (name, default) = match after[..end].split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (&after[..end], None),
        };
        let known = properties.get(&canonical(name)).map(String::as_str);
        if known.is_none() {
            value.placeholders.push(name.to_owned());
        }
        match known.or(default).filter(|_| depth < DEEPEST) {
            Some(text) => {
                let inner = fill(text, properties, depth + 1);
                whole &= inner.text.is_some() || text.is_empty();
                filled.push_str(inner.or(""));
                value.placeholders.extend(inner.placeholders);
            }
            None => whole = false,
        }
        rest = &after[end + 1..];
    }
    filled.push_str(rest);
    let filled = filled.trim();
    value.text = (whole && !filled.is_empty()).then(|| filled.to_owned());
    value
}

/// Where the placeholder that a text is the inside of ends, mindful of placeholders within it.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut previous = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if previous == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        previous = letter;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(text: &str) -> Settings {
        Settings::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_file_that_jpom_ships_is_read() {
        let settings = settings(
            "# Jpom\njpom:\n  path:\n  cluster:\n    id: default\n    heart-second: 30\n  user:\n    token-jwt-key:\n  \
             db:\n    mode: H2\n    url:\n    user-name: jpom\n    user-pwd: jpom\n  assets:\n    ssh:\n      \
             disable-monitor-group-name:\n        - a: 1\n        - b\nserver:\n  port: 2122\n",
        );
        assert_eq!(settings.path.text, None);
        assert_eq!(settings.mode.text.as_deref(), Some("H2"));
        assert_eq!(settings.url.text, None);
        assert_eq!(settings.heart_second.text.as_deref(), Some("30"));
        assert_eq!(settings.password.text.as_deref(), Some("jpom"));
        assert!(!settings.has_token_key);
    }

    #[test]
    fn dotted_and_relaxed_names_and_later_documents_count() {
        let settings = settings(
            "jpom.db: {userName: a, USER_PWD: 'b'}\njpom.cluster.heartSecond: 5\n---\njpom: {db: {user-name: c}}\n---\n\
             spring.config.activate.on-profile: test\njpom.db.user-name: d\n",
        );
        assert_eq!(settings.user.text.as_deref(), Some("c"));
        assert_eq!(settings.password.text.as_deref(), Some("b"));
        assert_eq!(settings.heart_second.text.as_deref(), Some("5"));
    }

    #[test]
    fn placeholders_are_filled_and_remembered() {
        let settings = settings(
            "base: /srv\njpom:\n  path: ${base}/jpom\n  db:\n    mode: ${DB_MODE:MYSQL}\n    url: ${DB_URL}\n    \
             user-pwd: ${PW:${OTHER:x}y}\n    user-name: ${USER:}\n",
        );
        assert_eq!(settings.path.text.as_deref(), Some("/srv/jpom"));
        assert!(settings.path.placeholders.is_empty());
        assert_eq!(settings.mode.text.as_deref(), Some("MYSQL"));
        assert_eq!(settings.mode.placeholders, ["DB_MODE"]);
        assert_eq!(
            (settings.url.text, settings.url.placeholders),
            (None, vec!["DB_URL".to_owned()])
        );
        assert_eq!(settings.password.text.as_deref(), Some("xy"));
        assert_eq!(settings.password.placeholders, ["PW", "OTHER"]);
        assert_eq!(settings.user.text, None);
    }

    #[test]
    fn placeholders_that_refer_to_each_other_end() {
        let settings = settings("a: ${b}\nb: ${a}\njpom.path: ${a}\n");
        assert_eq!(settings.path.text, None);
    }

    #[test]
    fn lists_aliases_and_odd_keys_do_not_shift_names() {
        let settings = settings(
            "x: &a {mode: NO}\ny: [1, {jpom.path: NO}, [2]]\n? {jpom.path: NO}\n: NO\nz: *a\njpom:\n  n: *a\n  path: /p\n  \
             db: {l: [a, b], mode: H2}\n",
        );
        assert_eq!(settings.path.text.as_deref(), Some("/p"));
        assert_eq!(settings.mode.text.as_deref(), Some("H2"));
    }

    #[test]
    fn what_is_no_yaml_is_refused() {
        assert!(Settings::parse(b"a: \xff").is_err());
        assert_eq!(Settings::parse(b"a: [1").unwrap_err().line, 2);
    }

    #[test]
    fn a_password_never_shows_in_debug_output() {
        let settings = settings("jpom.db.user-pwd: hunter2\n");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "[a-z${}:\\[\\]\\-&*?'\"#| \n]{0,80}") {
            let _ = Settings::parse(text.as_bytes());
        }

        #[test]
        fn hostile_placeholders_never_panic(text in "[$}{a:]{0,30}") {
            let properties = Properties::from([("a".to_owned(), text.clone())]);
            let _ = fill(&text, &properties, 0);
        }
    }
}
