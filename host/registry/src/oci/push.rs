//! Publishing a release in a registry.

use copal_trust::{Bundle, COMPONENT};
use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;
use oci_client::secrets::RegistryAuth;
use reqwest::{Method, StatusCode};

use super::artifact::{Artifact, digest, of_component, of_statement, statement};
use super::referrers::is_same;
use super::session::{PUSH, Session, scheme};
use crate::Error;
use crate::web::{CONNECT, SILENCE, USER_AGENT, cause, first_words};

/// Publishes a release under a tag, and tells the digest of its component's manifest.
///
/// The tag comes last: before it, nothing names what has no statement yet.
pub(crate) async fn publish(
    bundle: &Bundle,
    reference: &Reference,
    place: &str,
    replace: bool,
) -> Result<String, Error> {
    let Some(component) = bundle.get(COMPONENT) else {
        return Err(Error::NotAComponent {
            place: "the release".to_owned(),
            reason: format!("it has no {COMPONENT}, and a registry takes no release without one"),
        });
    };
    let tag = reference.tag().unwrap_or("latest");
    let component = of_component(component, place)?;
    let statement = of_statement(bundle, &component, place)?;
    let mut session = Session::new(reference, place, PUSH)?;

    let named = session.manifest(tag).await?.map(|(_, digest)| digest);
    let is_tagged = named.as_ref() == Some(&component.digest);
    if let Some(named) = named.filter(|_| !is_tagged && !replace) {
        return Err(Error::Occupied {
            place: place.to_owned(),
            found: format!("the tag names {named}"),
        });
    }
    let standing = match &statement {
        Some(statement) => {
            session
                .standing(statement, &component.digest, replace)
                .await?
        }
        None => Standing::default(),
    };
    let uploader = session.uploader(reference).await?;
    session.upload(&uploader, &component).await?;
    if let Some(statement) = statement.filter(|_| !standing.is_there) {
        let listed = session.upload(&uploader, &statement).await?;
        if standing.listed {
            for replaced in &standing.others {
                session.remove(replaced).await?;
            }
        }
        if !listed {
            session
                .enter(&component.digest, &statement.descriptor(), &standing.others)
                .await?;
        }
    }
    if !is_tagged {
        let manifest = component.manifest.clone();
        let what = "the component's manifest";
        session
            .put(tag, OCI_IMAGE_MEDIA_TYPE, manifest, what)
            .await?;
    }
    Ok(component.digest)
}

/// What uploads contents.
struct Uploader<'a> {
    client: Client,
    reference: &'a Reference,
}

/// What is stated about a component already.
#[derive(Debug, Default)]
struct Standing {
    /// The very same.
    is_there: bool,
    /// Other things, which are to go.
    others: Vec<String>,
    /// Whether the registry keeps the list itself.
    listed: bool,
}

impl Session<'_> {
    /// Looks at what is stated already about the component that `wanted` is about.
    async fn standing(
        &mut self,
        wanted: &Artifact,
        subject: &str,
        replace: bool,
    ) -> Result<Standing, Error> {
        let found = self.statements(subject).await?;
        let mut standing = Standing {
            listed: found.listed,
            ..Standing::default()
        };
        let files = statement(&wanted.manifest, &wanted.digest, subject, self.place)?;
        for digest in found.digests {
            match self.statement(&digest, subject).await {
                Ok(found) if is_same(&found, &files) => standing.is_there = true,
                // What can't be had now may be the very same.
                Err(
                    error @ (Error::Unreachable { .. }
                    | Error::Answer { .. }
                    | Error::Denied { .. }
                    | Error::Credentials { .. }),
                ) => return Err(error),
                Ok(_) | Err(_) if replace => standing.others.push(digest),
                Ok(_) => {
                    return Err(Error::Occupied {
                        place: self.place.to_owned(),
                        found: format!("another statement about this component, {digest}"),
                    });
                }
                Err(error) => return Err(error),
            }
        }
        // What is there beside others must be entered anew, without them.
        standing.is_there &= standing.others.is_empty();
        Ok(standing)
    }

    /// A client that uploads, with the credentials that the registry asked for.
    async fn uploader<'a>(&self, reference: &'a Reference) -> Result<Uploader<'a>, Error> {
        let registry = reference.resolve_registry();
        let config = ClientConfig {
            protocol: match scheme(registry) {
                "http" => ClientProtocol::Http,
                _ => ClientProtocol::Https,
            },
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: USER_AGENT,
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| self.failed(error))?;
        let authentication = match self.credentials() {
            Some(credentials) => {
                RegistryAuth::Basic(credentials.user.clone(), credentials.password.clone())
            }
            None => RegistryAuth::Anonymous,
        };
        client.store_auth_if_needed(registry, &authentication).await;
        Ok(Uploader { client, reference })
    }

    /// Uploads an artifact, and tells whether the registry lists what it refers to.
    async fn upload(
        &mut self,
        uploader: &Uploader<'_>,
        artifact: &Artifact,
    ) -> Result<bool, Error> {
        for blob in &artifact.blobs {
            let digest = digest(blob);
            let url = self.url(&format!("blobs/{digest}"))?;
            let response = self.send(Method::HEAD, &url, None).await?;
            match response.status() {
                StatusCode::OK => continue,
                StatusCode::NOT_FOUND => {}
                _ => return Err(self.refusal(response, "an upload").await),
            }
            let Uploader { client, reference } = uploader;
            let pushed = client.push_blob(reference, blob.clone(), &digest).await;
            pushed.map_err(|error| self.failed(error))?;
        }
        let (digest, manifest) = (&artifact.digest, artifact.manifest.clone());
        self.put(digest, OCI_IMAGE_MEDIA_TYPE, manifest, "a manifest")
            .await
    }

    /// Removes a manifest, if it is there.
    async fn remove(&mut self, digest: &str) -> Result<(), Error> {
        let url = self.url(&format!("manifests/{digest}"))?;
        let response = self.send(Method::DELETE, &url, None).await?;
        match response.status() {
            StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(self
                .refusal(response, "the removal of another statement")
                .await),
        }
    }

    /// Sorts what the uploading client says. Its addresses are left out, since those of uploads are secrets for a while.
    fn failed(&self, error: OciDistributionError) -> Error {
        let place = self.place.to_owned();
        let file = "an upload".to_owned();
        match error {
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::ServerError {
                code: 401 | 403, ..
            }
            | OciDistributionError::AuthenticationFailure(_) => Error::Denied {
                place,
                file,
                status: 401,
            },
            OciDistributionError::ServerError { code, message, .. } => Error::Answer {
                place,
                file,
                answer: format!("{code}: {}", first_words(message.as_bytes())),
            },
            OciDistributionError::RegistryError { envelope, .. } => Error::Answer {
                place,
                file,
                answer: first_words(envelope.to_string().as_bytes()),
            },
            OciDistributionError::RequestError(error) => Error::Unreachable {
                place,
                reason: cause(error),
            },
            OciDistributionError::SpecViolationError(reason) => self.misbehaves(reason),
            _ => self.misbehaves("it does not take an upload".to_owned()),
        }
    }
}
