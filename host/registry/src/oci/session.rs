//! Requests to a registry.

use bytes::Bytes;
use http_auth::parser::ChallengeParser;
use oci_client::Reference;
use oci_client::manifest::OciDescriptor;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use super::artifact::{digest, is_digest};
use super::credentials::{self, Credentials};
use crate::Error;
use crate::place::is_loopback;
use crate::web::{Web, basic};

/// Bytes of a manifest, as the distribution specification advises.
const MAX_MANIFEST: usize = 4 << 20;
/// Bytes of an answer that holds a token.
const MAX_TOKEN: usize = 64 << 10;

/// What a session may do that only fetches.
pub(super) const PULL: &str = "pull";
/// What a session may do that publishes.
pub(super) const PUSH: &str = "pull,push";

/// A conversation with a registry about one repository.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) web: Web,
    pub(super) place: &'a str,
    reference: &'a Reference,
    /// [`PULL`] or [`PUSH`].
    actions: &'static str,
    authorization: Option<HeaderValue>,
    /// Where the registry gives out tokens, and what it calls itself there.
    tokens: Option<(String, Option<String>)>,
    /// Whether it does not do without credentials. A pull begins without: much can be read so, and then they are told to nobody.
    insists: bool,
    credentials: Option<Credentials>,
    /// Why there are none.
    unreadable: Option<String>,
}

impl<'a> Session<'a> {
    /// Begins a conversation. Nothing is sent yet.
    pub(super) fn new(
        reference: &'a Reference,
        place: &'a str,
        actions: &'static str,
    ) -> Result<Self, Error> {
        Ok(Self {
            web: Web::new(place)?,
            place,
            reference,
            actions,
            authorization: None,
            tokens: None,
            insists: actions != PULL,
            credentials: None,
            unreadable: None,
        })
    }

    /// The credentials that the registry asked for, if it did.
    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// A registry's URL, below the repository's.
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        let registry = self.reference.resolve_registry();
        let repository = self.reference.repository();
        let url = format!("{}://{registry}/v2/{repository}/{path}", scheme(registry));
        Url::parse(&url).map_err(|error| self.misbehaves(error.to_string()))
    }

    /// Sends a request, with credentials where the registry wants some.
    pub(super) async fn send(
        &mut self,
        method: Method,
        url: &Url,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Response, Error> {
        let request = |authorization: Option<&HeaderValue>| {
            let mut request = Request::new(method.clone(), url.clone());
            let headers = request.headers_mut();
            headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
            if let Some(authorization) = authorization {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            if let Some((media_type, body)) = &body {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
                *request.body_mut() = Some(body.clone().into());
            }
            request
        };
        let first = request(self.authorization.as_ref());
        let mut response = self.web.send(first).await?;
        // Without credentials, then with them. A token may also have run out.
        for _ in 0..2 {
            let refused = match response.status() {
                StatusCode::UNAUTHORIZED => true,
                StatusCode::FORBIDDEN => self.authorization.is_some() && self.credentials.is_none(),
                _ => false,
            };
            if !refused {
                break;
            }
            let Some(authorization) = self.authorize(&response).await? else {
                break;
            };
            let again = request(Some(&authorization));
            self.authorization = Some(authorization);
            response = self.web.send(again).await?;
        }
        Ok(response)
    }

    /// A manifest with its digest, by a tag or a digest; none where there is none.
    pub(super) async fn manifest(
        &mut self,
        reference: &str,
    ) -> Result<Option<(Bytes, String)>, Error> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let response = self.send(Method::GET, &url, None).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.refusal(response, "its manifest").await),
        }
        let manifest = self
            .web
            .body(response, "its manifest", MAX_MANIFEST)
            .await?;
        let found = digest(&manifest);
        if is_digest(reference) && reference != found {
            return Err(self.changed(reference, found));
        }
        Ok(Some((manifest, found)))
    }

    /// What a descriptor describes: at most `limit` bytes, which `name` names.
    pub(super) async fn blob(
        &mut self,
        descriptor: &OciDescriptor,
        name: &str,
        limit: usize,
    ) -> Result<Bytes, Error> {
        if !is_digest(&descriptor.digest) {
            return Err(self.misbehaves(format!("the digest of {name} is no SHA-256")));
        }
        let size = usize::try_from(descriptor.size)
            .map_err(|_| self.misbehaves(format!("the size of {name} is none")))?;
        if size > limit {
            return Err(Error::TooLarge {
                place: self.place.to_owned(),
                file: name.to_owned(),
                limit,
            });
        }
        let url = self.url(&format!("blobs/{}", descriptor.digest))?;
        let response = self.send(Method::GET, &url, None).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response, name).await);
        }
        let bytes = self.web.body(response, name, size).await?;
        match digest(&bytes) {
            found if found == descriptor.digest => Ok(bytes),
            found => Err(self.changed(&descriptor.digest, found)),
        }
    }

    /// Uploads a manifest under a tag or its digest, and tells whether the registry lists what it refers to.
    pub(super) async fn put(
        &mut self,
        reference: &str,
        media_type: &'static str,
        manifest: Bytes,
        what: &str,
    ) -> Result<bool, Error> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let body = Some((media_type, manifest));
        let response = self.send(Method::PUT, &url, body).await?;
        match response.status() {
            StatusCode::CREATED => Ok(response.headers().contains_key("oci-subject")),
            _ => Err(self.refusal(response, what).await),
        }
    }

    /// The error that an answer stands for.
    pub(super) async fn refusal(&mut self, response: Response, what: &str) -> Error {
        let refusal = self.web.refusal(response, what).await;
        match (refusal, self.unreadable.take()) {
            (Error::Denied { place, .. }, Some(reason)) => Error::Credentials { place, reason },
            (refusal, _) => refusal,
        }
    }

    /// The error of a registry that does not keep to its protocol.
    pub(super) fn misbehaves(&self, reason: String) -> Error {
        Error::Registry {
            place: self.place.to_owned(),
            reason,
        }
    }

    fn changed(&self, expected: &str, found: String) -> Error {
        Error::Digest {
            place: self.place.to_owned(),
            expected: expected.to_owned(),
            found,
        }
    }

    /// What answers the challenge of a registry; none where nothing can.
    async fn authorize(&mut self, response: &Response) -> Result<Option<HeaderValue>, Error> {
        let mut takes_passwords = false;
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).into_iter();
        for challenge in challenges.filter_map(|value| value.to_str().ok()) {
            for challenge in ChallengeParser::new(challenge).map_while(Result::ok) {
                let parameter = |name: &str| {
                    let mut parameters = challenge.params.iter();
                    let found = parameters.find(|(found, _)| found.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameter("realm")
                {
                    self.tokens = Some((realm, parameter("service")));
                }
                takes_passwords |= challenge.scheme.eq_ignore_ascii_case("basic");
            }
        }
        if self.tokens.is_some() && !self.insists {
            self.insists = true;
            match self.token().await {
                Err(Error::Denied { .. }) => {}
                token => return token,
            }
        }
        self.find_credentials().await;
        match &self.credentials {
            Some(credentials) if takes_passwords && self.tokens.is_none() => {
                Ok(Some(credentials.header()))
            }
            _ => self.token().await,
        }
    }

    /// Looks for credentials. That there are none is the registry's to complain of.
    async fn find_credentials(&mut self) {
        if self.credentials.is_none() && self.unreadable.is_none() {
            match credentials::of(self.reference.registry()).await {
                Ok(credentials) => self.credentials = credentials,
                Err(reason) => self.unreadable = Some(reason),
            }
        }
    }

    /// Fetches a token from where the registry says, with the credentials that were found; none where it gives out none.
    async fn token(&mut self) -> Result<Option<HeaderValue>, Error> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let Some((realm, service)) = self.tokens.clone() else {
            return Ok(None);
        };
        let registry = self.reference.resolve_registry();
        let mut url = Url::parse(&realm)
            .ok()
            .filter(|url| url.scheme() == "https" || scheme(registry) == "http" && is_loopback(url))
            .ok_or_else(|| {
                self.misbehaves("it wants credentials where nobody may send any".into())
            })?;
        url.query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair(
                "scope",
                &format!(
                    "repository:{}:{}",
                    self.reference.repository(),
                    self.actions
                ),
            );
        let mut request = Request::new(Method::GET, url);
        if let Some(credentials) = &self.credentials {
            request
                .headers_mut()
                .insert(AUTHORIZATION, credentials.header());
        }
        let response = self.web.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response, "a token").await);
        }
        let answer = self.web.body(response, "its token", MAX_TOKEN).await?;
        let token = serde_json::from_slice(&answer).ok();
        let token = token.and_then(|token: Token| token.token.or(token.access_token));
        let token = token.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
        let mut token = token.ok_or_else(|| self.misbehaves("its token is none".to_owned()))?;
        token.set_sensitive(true);
        Ok(Some(token))
    }
}

impl Credentials {
    fn header(&self) -> HeaderValue {
        basic(self.user.as_bytes(), self.password.as_bytes())
    }
}

/// All kinds of manifests, so that what is no component can be told.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// How a registry is spoken to: without encryption only where nobody is in between.
pub(super) fn scheme(registry: &str) -> &'static str {
    match Url::parse(&format!("http://{registry}")) {
        Ok(url) if is_loopback(&url) => "http",
        _ => "https",
    }
}
