//! HTTP, as all services that speak it are spoken to: no faster than allowed, and given up where nothing moves.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions, HeaderMap};
use tokio::time::Sleep;

use crate::limit::Limit;
use crate::pulse::Pulse;

/// What is handed over at a time where nothing limits it.
const SLICE: usize = 64 << 10;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Where machines of a cloud get their credentials. Other machines find nobody there, and should not be long in saying so.
pub(crate) const METADATA: [&str; 4] = [
    "169.254.169.254",
    "169.254.170.2",
    "metadata",
    "metadata.google.internal",
];

/// How long those are waited for.
const METADATA_PATIENCE: Duration = Duration::from_secs(3);

/// Makes the clients of HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    pub(crate) upload: Option<Arc<Limit>>,
    /// How long nothing may move.
    pub(crate) timeout: Duration,
    /// Sent with every request.
    pub(crate) headers: HeaderMap,
}

/// Whether an option of `object_store`'s own client counts here too. How many connections are kept, and for how long, is decided here.
pub(crate) fn heeds(key: &ClientConfigKey) -> bool {
    use ClientConfigKey as Key;
    matches!(
        key,
        Key::AllowHttp
            | Key::AllowInvalidCertificates
            | Key::DefaultContentType
            | Key::Http1Only
            | Key::Http2Only
            | Key::NoSystemCertificates
            | Key::ProxyCaCertificate
            | Key::ProxyExcludes
            | Key::ProxyUrl
            | Key::UserAgent
    )
}

impl HttpConnector for Transport {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self
            .client(options)
            .map_err(|error| object_store::Error::Generic {
                store: "HTTP",
                source: Box::new(error.without_url()),
            })?;
        Ok(HttpClient::new(Service {
            client,
            transport: self.clone(),
        }))
    }
}

impl Transport {
    fn client(&self, options: &ClientOptions) -> reqwest::Result<reqwest::Client> {
        let text = |key| options.get_config_value(&key);
        let on = |key| text(key).is_some_and(|value| value == "true");
        let own = concat!("copal/", env!("CARGO_PKG_VERSION")).to_owned();
        let mut builder = reqwest::Client::builder()
            .user_agent(text(ClientConfigKey::UserAgent).unwrap_or(own))
            .default_headers(self.headers.clone())
            .connect_timeout(CONNECT)
            .https_only(!on(ClientConfigKey::AllowHttp))
            .danger_accept_invalid_certs(on(ClientConfigKey::AllowInvalidCertificates));
        if let Some(url) = text(ClientConfigKey::ProxyUrl) {
            let excludes = text(ClientConfigKey::ProxyExcludes);
            let excludes = excludes.and_then(|list| reqwest::NoProxy::from_string(&list));
            builder = builder.proxy(reqwest::Proxy::all(url)?.no_proxy(excludes));
        }
        let authority = text(ClientConfigKey::ProxyCaCertificate)
            .map(|pem| reqwest::tls::Certificate::from_pem(pem.as_bytes()))
            .transpose()?;
        if on(ClientConfigKey::NoSystemCertificates) {
            builder = builder.tls_certs_only(authority);
        } else {
            builder = builder.tls_certs_merge(authority);
        }
        if on(ClientConfigKey::Http1Only) {
            builder = builder.http1_only();
        }
        if on(ClientConfigKey::Http2Only) {
            builder = builder.http2_prior_knowledge();
        }
        builder.build()
    }

    /// A body that leaves no faster than allowed, and says whenever something of it left.
    fn outgoing(&self, body: HttpRequestBody, pulse: Arc<Pulse>) -> reqwest::Body {
        let limit = self.upload.clone();
        let slice = limit.as_ref().map_or(SLICE, |limit| limit.slice());
        let slices = body.into_data_stream().flat_map(move |bytes| {
            stream::iter(match bytes {
                Ok(bytes) => slices(bytes, slice).map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        reqwest::Body::wrap_stream(slices.then(move |slice| {
            let (limit, pulse) = (limit.clone(), pulse.clone());
            async move {
                if let (Some(limit), Ok(slice)) = (limit, &slice) {
                    pulse.beat();
                    limit.take(slice.len()).await;
                }
                pulse.beat();
                slice
            }
        }))
    }
}

/// Cuts `bytes`, copying nothing.
pub(crate) fn slices(mut bytes: Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let next = bytes.split_to(size.min(bytes.len()));
        (!next.is_empty()).then_some(next)
    })
}

#[derive(Debug)]
struct Service {
    client: reqwest::Client,
    transport: Transport,
}

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let is_metadata = parts
            .uri
            .host()
            .is_some_and(|host| METADATA.contains(&host));
        let url = reqwest::Url::parse(&parts.uri.to_string())
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let pulse = Arc::new(Pulse::default());
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(match body.as_bytes() {
            Some(bytes) => bytes.clone().into(),
            None => self.transport.outgoing(body, pulse.clone()),
        });
        let patience = match is_metadata {
            true => METADATA_PATIENCE,
            false => self.transport.timeout,
        };
        let answer = tokio::select! {
            answer = self.client.execute(request) => answer.map_err(sort),
            () = pulse.stops(patience) => Err(Stopped::after(patience)),
        };
        let answer = answer.map_err(|error| match is_metadata {
            // It is not tried again.
            true => HttpError::new(HttpErrorKind::Unknown, error),
            false => error,
        })?;
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        Ok(HttpResponse::from_parts(
            parts,
            HttpResponseBody::new(Incoming {
                body,
                timeout: self.transport.timeout,
                waiting: None,
            }),
        ))
    }
}

/// Nothing moved.
#[derive(Debug, thiserror::Error)]
#[error("nothing moved for {} s", .0.as_secs())]
struct Stopped(Duration);

impl Stopped {
    fn after(patience: Duration) -> HttpError {
        HttpError::new(HttpErrorKind::Timeout, Self(patience))
    }
}

/// A body that is given up where nothing comes any more.
struct Incoming<B> {
    body: B,
    timeout: Duration,
    /// From when on nothing came though somebody asked for it.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B: Body<Data = Bytes, Error = reqwest::Error> + Unpin> Body for Incoming<B> {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(sort)));
        }
        let timeout = this.timeout;
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Some(Err(Stopped::after(timeout))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What kind of failure this is: it decides whether the request is tried again.
fn sort(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_decode() {
        HttpErrorKind::Decode
    } else if error.is_request() {
        HttpErrorKind::Request
    } else {
        HttpErrorKind::Interrupted
    };
    // Without the address, which may hold what nobody should read.
    HttpError::new(kind, error.without_url())
}
