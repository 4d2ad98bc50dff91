//! Asking web servers: what they send is bounded in size and time.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use copal_trust::Bundle;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Request, Response, StatusCode};
use url::Url;

use crate::Error;
use crate::place::{Item, bare, file_in};
use crate::probe::{self, Shelf};

/// What servers are told about the client.
pub(crate) const USER_AGENT: &str = concat!("copal/", env!("CARGO_PKG_VERSION"));
/// To connect.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// Without a byte.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
/// For a whole answer: the largest component at 150 kB/s.
const WHOLE: Duration = Duration::from_secs(15 * 60);
const MAX_REDIRECTS: usize = 5;
/// Bytes of an answer that says what is wrong.
const MAX_MESSAGE: usize = 8 << 10;

/// A client of web servers.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    client: Client,
    place: String,
}

impl Web {
    /// A client that speaks of `place` where something goes wrong.
    pub(crate) fn new(place: &str) -> Result<Self, Error> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(WHOLE)
            // An address may be secret by its query, and where it leads to need not know it.
            .referer(false)
            .redirect(Policy::custom(redirect))
            .build();
        let place = place.to_owned();
        match client {
            Ok(client) => Ok(Self { client, place }),
            Err(error) => Err(Error::Unreachable {
                reason: cause(error),
                place,
            }),
        }
    }

    /// Sends a request and takes the head of the answer.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, Error> {
        let response = self.client.execute(request).await;
        response.map_err(|error| self.unreachable(error))
    }

    /// Takes an answer's body of at most `limit` bytes, which `file` names.
    pub(crate) async fn body(
        &self,
        mut response: Response,
        file: &str,
        limit: usize,
    ) -> Result<Bytes, Error> {
        let too_large = || Error::TooLarge {
            place: self.place.clone(),
            file: file.to_owned(),
            limit,
        };
        // What the server claims is believed only where it claims too much.
        let claimed = response.content_length().unwrap_or_default();
        if claimed > limit as u64 {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(claimed as usize);
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(error))?
        {
            if bytes.len() + chunk.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    }

    /// The error that an answer stands for which is neither the file nor its absence.
    pub(crate) async fn refusal(&self, mut response: Response, file: &str) -> Error {
        let (place, file) = (self.place.clone(), file.to_owned());
        let status = response.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Error::Denied {
                place,
                file,
                status: status.as_u16(),
            };
        }
        let mut message = Vec::new();
        while message.len() < MAX_MESSAGE
            && let Ok(Some(chunk)) = response.chunk().await
        {
            message.extend_from_slice(&chunk);
        }
        Error::Answer {
            place,
            file,
            answer: match first_words(&message) {
                words if words.is_empty() => status.to_string(),
                words => format!("{status}: {words}"),
            },
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        Error::Unreachable {
            place: self.place.clone(),
            reason: cause(error),
        }
    }
}

/// Fetches what is meant from a folder on a web server.
pub(crate) async fn fetch(folder: &Url, place: &str, item: &Item) -> Result<Bundle, Error> {
    let shelf = Server {
        web: Web::new(place)?,
        folder,
    };
    probe::fetch(&shelf, place, item).await
}

/// A folder on a web server that can do no more than GET.
struct Server<'a> {
    web: Web,
    folder: &'a Url,
}

impl Shelf for Server<'_> {
    async fn get(&self, name: &str, limit: usize) -> Result<Option<Bytes>, Error> {
        let url = file_in(self.folder, name);
        let asked = file_in(&bare(self.folder), name);
        let name = name.split('?').next().unwrap_or_default();
        let mut request = Request::new(reqwest::Method::GET, asked.clone());
        let decoded = |text: &str| percent_decode_str(text).collect::<Vec<_>>();
        let password = url.password().map(decoded);
        if !url.username().is_empty() || password.is_some() {
            let user = decoded(url.username());
            let credentials = basic(&user, &password.unwrap_or_default());
            request.headers_mut().insert(AUTHORIZATION, credentials);
        }
        let response = self.web.send(request).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            _ => return Err(self.web.refusal(response, name).await),
        }
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.map(|kind| kind.as_bytes().to_ascii_lowercase());
        let kind = kind.unwrap_or_default();
        if kind.starts_with(b"text/html") || kind.starts_with(b"application/xhtml") {
            let from = bare(response.url());
            return Err(Error::WebPage {
                place: self.web.place.clone(),
                file: name.to_owned(),
                at: (from != bare(&asked)).then(|| from.to_string()),
            });
        }
        self.web.body(response, name, limit).await.map(Some)
    }
}

/// The header that carries a name and a password.
pub(crate) fn basic(user: &[u8], password: &[u8]) -> HeaderValue {
    let credentials = [user, password].join(&b':');
    let header = HeaderValue::try_from(format!("Basic {}", BASE64.encode(credentials)));
    // Base64 has nothing that a header may not hold.
    let mut header = header.unwrap_or(HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

/// The first words that a server says, fit to be shown.
pub(crate) fn first_words(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let text: String = text.trim().chars().take(200).collect();
    text.escape_debug().to_string()
}

/// Follows a server to elsewhere, but never from an encrypted connection to a plain one.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let encrypted = attempt.previous().last();
    let encrypted = encrypted.is_some_and(|url| url.scheme() == "https");
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("the server leads from place to place")
    } else if encrypted && attempt.url().scheme() != "https" {
        attempt.error("the server leads from https to a connection that is not encrypted")
    } else {
        attempt.follow()
    }
}

/// The deepest cause: the layers above it only say that a request failed, and the address may hold credentials.
pub(crate) fn cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long to answer".to_owned();
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    first_words(cause.to_string().as_bytes())
}
