//! Finding the statements about a component.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci_client::manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OciDescriptor};
use reqwest::header::LINK;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::artifact::{RELEASE, is_digest, statement};
use super::session::Session;
use crate::Error;

/// Bytes of a list of referrers.
const MAX_INDEX: usize = 4 << 20;
/// Pages of such a list.
const MAX_PAGES: usize = 16;
/// Statements about one component that are looked at.
const MAX_STATEMENTS: usize = 8;

/// The statements about one component.
#[derive(Debug)]
pub(super) struct Statements {
    /// Whether the registry keeps the list itself. Otherwise it lies under a tag.
    pub(super) listed: bool,
    /// The digests of their manifests.
    pub(super) digests: Vec<String>,
}

/// The files of a statement's artifact.
pub(super) type Files = BTreeMap<String, OciDescriptor>;

/// Whether two statements' artifacts hold the same files.
pub(super) fn is_same(one: &Files, other: &Files) -> bool {
    let digests = |(_, file): (_, &OciDescriptor)| file.digest.clone();
    one.keys().eq(other.keys()) && one.iter().map(digests).eq(other.iter().map(digests))
}

impl Session<'_> {
    /// The statements about the component whose manifest has the digest `subject`.
    pub(super) async fn statements(&mut self, subject: &str) -> Result<Statements, Error> {
        let listed = self.listed(subject).await?;
        let (listed, mut digests) = match listed {
            Some(digests) => (true, digests),
            None => (false, statements(&self.index(subject).await?).collect()),
        };
        digests.sort_unstable();
        digests.dedup();
        if let Some(strange) = digests.iter().find(|digest| !is_digest(digest)) {
            let strange = crate::web::first_words(strange.as_bytes());
            return Err(self.misbehaves(format!("it lists a statement `{strange}`")));
        }
        if digests.len() > MAX_STATEMENTS {
            digests.truncate(MAX_STATEMENTS);
            return Err(Error::TwoStatements {
                place: self.place.to_owned(),
                digests,
            });
        }
        Ok(Statements { listed, digests })
    }

    /// The files of a statement.
    pub(super) async fn statement(&mut self, digest: &str, subject: &str) -> Result<Files, Error> {
        let Some((manifest, _)) = self.manifest(digest).await? else {
            return Err(self.misbehaves(format!("it lists the statement {digest} and has it not")));
        };
        statement(&manifest, digest, subject, self.place)
    }

    /// The digests of the statements about `subject`, if the registry keeps a list of that.
    async fn listed(&mut self, subject: &str) -> Result<Option<Vec<String>>, Error> {
        let mut url = self.url(&format!("referrers/{subject}"))?;
        url.query_pairs_mut().append_pair("artifactType", RELEASE);
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let response = self.send(Method::GET, &url, None).await?;
            match response.status() {
                StatusCode::OK => {}
                // What registries say of a path that they do not know.
                StatusCode::NOT_FOUND
                | StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_IMPLEMENTED => return Ok(None),
                _ => return Err(self.refusal(response, "its statements").await),
            }
            let next = response.headers().get(LINK).cloned();
            let page = self.web.body(response, "its statements", MAX_INDEX).await?;
            let page: Value = serde_json::from_slice(&page)
                .map_err(|_| self.misbehaves("its list of statements is none".to_owned()))?;
            found.extend(statements(&page));
            let next = next.as_ref().and_then(|next| next.to_str().ok());
            match next.and_then(|next| following(next, &url)) {
                Some(next) => url = next,
                None => return Ok(Some(found)),
            }
        }
        Err(self.misbehaves("its list of statements does not end".to_owned()))
    }

    /// The list that stands under a tag where the registry keeps none; an empty one where nothing stands there.
    async fn index(&mut self, subject: &str) -> Result<Value, Error> {
        let Some((index, _)) = self.manifest(&tag(subject)).await? else {
            return Ok(json!({
                "schemaVersion": 2,
                "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE,
                "manifests": [],
            }));
        };
        let index = serde_json::from_slice(&index).ok();
        index
            .filter(|index: &Value| index.get("manifests").is_some_and(Value::is_array))
            .ok_or_else(|| self.misbehaves(format!("its tag {} is no list", tag(subject))))
    }

    /// Enters a statement into the list under the tag, in place of those in `replaced`. What else stands there stays.
    pub(super) async fn enter(
        &mut self,
        subject: &str,
        statement: &OciDescriptor,
        replaced: &[String],
    ) -> Result<(), Error> {
        let mut index = self.index(subject).await?;
        if let Some(Value::Array(entries)) = index.get_mut("manifests") {
            entries.retain(|entry| {
                let digest = text(entry, "digest");
                digest != statement.digest && !replaced.iter().any(|replaced| replaced == digest)
            });
            entries.push(json!({
                "mediaType": statement.media_type,
                "digest": statement.digest,
                "size": statement.size,
                "artifactType": RELEASE,
            }));
        }
        let index = Bytes::from(index.to_string());
        let list = "the list of its statements";
        self.put(&tag(subject), OCI_IMAGE_INDEX_MEDIA_TYPE, index, list)
            .await
            .map(drop)
    }
}

/// The tag that stands in for the list of what refers to `subject`: distribution specification 1.1, "Referrers Tag Schema".
fn tag(subject: &str) -> String {
    subject.replacen(':', "-", 1)
}

/// The digests of the statements in a list.
fn statements(index: &Value) -> impl Iterator<Item = String> {
    let entries = index.get("manifests").and_then(Value::as_array);
    let entries = entries.map(Vec::as_slice).unwrap_or_default().iter();
    entries
        .filter(|entry| text(entry, "artifactType") == RELEASE)
        .map(|entry| text(entry, "digest").to_owned())
}

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The next page of a list, by the header `Link`; never on another server.
fn following(link: &str, url: &Url) -> Option<Url> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = url.join(target).ok()?;
    let is_next = parameters.contains("rel=\"next\"") || parameters.contains("rel=next");
    (is_next && next.origin() == url.origin()).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_of_a_list_is_found_and_never_on_another_server() {
        let url = Url::parse("https://h/v2/n/referrers/sha256:1").unwrap();
        let next = following("</v2/n/referrers/sha256:1?last=2>; rel=\"next\"", &url).unwrap();
        assert_eq!(next.as_str(), "https://h/v2/n/referrers/sha256:1?last=2");
        for link in [
            "<https://evil/v2>; rel=\"next\"",
            "<http://h/v2>; rel=\"next\"",
            "</v2>; rel=\"prev\"",
            "/v2",
            "",
        ] {
            assert_eq!(following(link, &url), None, "{link}");
        }
    }
}
