//! Where requests may go: methods, hosts and ports.

use std::fmt::{self, Display as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;
use url::{Host, Url};

use super::command::{keys, settings_words};
use super::word::{Pattern, SETTING};

/// The method of a request, or any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Method {
    Any,
    Named(String),
}

impl Method {
    /// The method of a request. HTTP would allow further signs, `*` among them, which a grant could not show.
    pub(super) fn exact(method: &str) -> Result<Self, &'static str> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if !method.is_empty() && method.bytes().all(letter) {
            Ok(Self::Named(method.to_ascii_uppercase()))
        } else {
            Err("its method is not letters, digits, `-` and `_`, such as `GET`")
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "*" => Ok(Self::Any),
            text => {
                Self::exact(text).map_err(|_| "its method is neither a word such as `GET` nor `*`")
            }
        }
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        *self == Self::Any || self == other
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "*",
            Self::Named(name) => name,
        })
    }
}

/// The host and port that a request goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    host: Host<String>,
    port: u16,
}

impl Address {
    /// Those of a URL, in the one spelling that each has; where no grant could cover it, why.
    pub(super) fn of(url: &str) -> Result<Self, &'static str> {
        const NOT: &str = "its URL is not `http://` or `https://` with a host";
        if url.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err("its URL holds spaces, control characters or a backslash");
        }
        let url = Url::parse(url).map_err(|_| NOT)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NOT);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("its URL names a user or a password");
        }
        let host = url.host().ok_or(NOT)?.to_owned();
        if let Host::Domain(name) = &host {
            check_name(name)?;
        }
        let port = url.port_or_known_default().ok_or(NOT)?;
        Ok(Self { host, port })
    }
}

/// Checks the name of a host: labels of letters, digits, `-` and `_`.
fn check_name(name: &str) -> Result<(), &'static str> {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
    };
    // Of a name that ends in a dot, no search list is tried: it may be another host than the one without.
    if name.split('.').all(label) {
        Ok(())
    } else {
        Err("its host is not labels of letters, digits, `-` and `_` with single dots between them")
    }
}

/// The addresses that a grant covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum AddressRule {
    To {
        host: HostRule,
        /// None for any.
        port: Option<u16>,
    },
    /// Where one of these settings leads: a URL, or `HOST:PORT`.
    Setting(Vec<String>),
}

/// The hosts that a grant covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum HostRule {
    Any,
    Name {
        /// Whether it is the hosts whose names end in the labels, rather than the one of that name.
        beneath: bool,
        labels: Vec<Pattern>,
    },
    /// Four patterns.
    V4(Vec<Pattern>),
    V6(Ipv6Addr),
}

/// Reads `METHOD HOST:PORT`.
pub(super) fn parse(text: &str, settings: bool) -> Result<(Method, AddressRule), &'static str> {
    let mut words = text.split_whitespace();
    let (Some(method), Some(to), None) = (words.next(), words.next(), words.next()) else {
        return Err("it needs a method and `HOST:PORT`");
    };
    let to = match keys(to) {
        Some(keys) if settings => AddressRule::Setting(keys),
        _ => AddressRule::parse(to)?,
    };
    Ok((Method::parse(method)?, to))
}

impl AddressRule {
    pub(super) fn exact(address: &Address) -> Self {
        let host = match &address.host {
            Host::Domain(name) => HostRule::Name {
                beneath: false,
                labels: name.split('.').map(Pattern::exact).collect(),
            },
            Host::Ipv4(address) => {
                HostRule::V4(octets(*address).map(|o| Pattern::exact(&o)).to_vec())
            }
            Host::Ipv6(address) => HostRule::V6(*address),
        };
        Self::To {
            host,
            port: Some(address.port),
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        const NEEDS: &str = "it needs a method and `HOST:PORT`, with a port of 1 to 65535 or `*`";
        let (host, port) = text.rsplit_once(':').ok_or(NEEDS)?;
        let port = match port {
            "*" => None,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                let port = digits.parse().ok().filter(|port| *port != 0);
                Some(port.ok_or(NEEDS)?)
            }
            _ => return Err(NEEDS),
        };
        Ok(Self::To {
            host: HostRule::parse(host)?,
            port,
        })
    }

    pub(super) fn covers(&self, address: &Address, settings: &Value) -> bool {
        match self {
            Self::To { host, port } => {
                port.is_none_or(|port| port == address.port) && host.covers(&address.host)
            }
            Self::Setting(keys) => settings_words(settings, keys).iter().any(|words| {
                let [place] = words.as_slice() else {
                    return false;
                };
                // A URL that a request can't have leads nowhere; its scheme is no host.
                let led_to = match place.contains("://") {
                    true => Address::of(place),
                    false => Address::of(&format!("http://{place}")),
                };
                led_to.is_ok_and(|led_to| led_to == *address)
            }),
        }
    }
}

impl fmt::Display for AddressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To {
                host,
                port: Some(port),
            } => write!(f, "{host}:{port}"),
            Self::To { host, port: None } => write!(f, "{host}:*"),
            Self::Setting(keys) => write!(f, "{SETTING}{}}}", keys.join("|")),
        }
    }
}

impl HostRule {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if !text.contains('*') {
            let host =
                Host::parse(text).map_err(|_| "its host is neither a name nor an address")?;
            return match &host {
                Host::Domain(name) => {
                    check_name(name)?;
                    Ok(Self::Name {
                        beneath: false,
                        labels: name.split('.').map(Pattern::exact).collect(),
                    })
                }
                Host::Ipv4(address) => Ok(Self::V4(
                    octets(*address).map(|o| Pattern::exact(&o)).to_vec(),
                )),
                Host::Ipv6(address) => Ok(Self::V6(*address)),
            };
        }
        let text = text.to_ascii_lowercase();
        // Whatever a `*` stands for, the name is one that can be.
        check_name(&text.replace('*', "x")).map_err(
            |_| "a host with a `*` is labels of letters, digits, `-`, `_` and `*` with single dots between them",
        )?;
        let labels = text
            .split('.')
            .map(Pattern::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let numeric = |label: &str| label.bytes().all(|b| b.is_ascii_digit() || b == b'*');
        if text.split('.').all(numeric) && text.contains(|c: char| c.is_ascii_digit()) {
            return match labels.len() {
                4 => Ok(Self::V4(labels)),
                _ => Err("an address is four numbers, some of which may be `*`"),
            };
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        let digits = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
        if digits || (labels.len() > 1 && last.contains('*')) {
            return Err("the last label of a host's name must be written out, and is no number");
        }
        match labels.as_slice() {
            [first, rest @ ..] if first.is_any() => Ok(Self::Name {
                beneath: true,
                labels: rest.to_vec(),
            }),
            _ => Ok(Self::Name {
                beneath: false,
                labels,
            }),
        }
    }

    fn covers(&self, host: &Host<String>) -> bool {
        let fit = |patterns: &[Pattern], labels: &[&str]| {
            patterns.len() == labels.len()
                && patterns
                    .iter()
                    .zip(labels)
                    .all(|(pattern, label)| pattern.fits(label))
        };
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Name { beneath, labels }, Host::Domain(name)) => {
                let named: Vec<_> = name.split('.').collect();
                let more = named.len().saturating_sub(labels.len());
                let own = named.get(more..).unwrap_or_default();
                *beneath == (more > 0) && fit(labels, own)
            }
            (Self::V4(patterns), Host::Ipv4(address)) => {
                let octets = octets(*address);
                fit(patterns, &octets.each_ref().map(String::as_str))
            }
            (Self::V6(own), Host::Ipv6(address)) => own == address,
            _ => false,
        }
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::V6(address) => write!(f, "[{address}]"),
            Self::Name { labels, beneath } => {
                f.write_str(if *beneath { "*." } else { "" })?;
                write_labels(labels, f)
            }
            Self::V4(octets) => write_labels(octets, f),
        }
    }
}

fn write_labels(labels: &[Pattern], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, label) in labels.iter().enumerate() {
        f.write_str(if i > 0 { "." } else { "" })?;
        label.fmt(f)?;
    }
    Ok(())
}

fn octets(address: Ipv4Addr) -> [String; 4] {
    address.octets().map(|octet| octet.to_string())
}
