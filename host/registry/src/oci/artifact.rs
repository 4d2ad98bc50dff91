//! The two artifacts of a release.

use std::collections::BTreeMap;

use bytes::Bytes;
use copal_trust::{Bundle, COMPONENT};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest, OciManifest};
use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload};

use crate::Error;

/// The type of a statement's artifact.
pub(super) const RELEASE: &str = "application/vnd.copal.release.v1+json";
/// The type of a component's configuration.
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The type of a component.
const WASM: &str = "application/wasm";
/// The type of a configuration that says nothing.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The annotation that holds a file's name.
const TITLE: &str = "org.opencontainers.image.title";

/// An artifact that is to be uploaded.
#[derive(Debug)]
pub(super) struct Artifact {
    /// The manifest.
    pub(super) manifest: Bytes,
    /// Its digest.
    pub(super) digest: String,
    /// What it refers to.
    pub(super) blobs: Vec<Bytes>,
}

impl Artifact {
    fn new(manifest: &OciImageManifest, blobs: Vec<Bytes>) -> Result<Self, serde_json::Error> {
        let manifest = Bytes::from(serde_json::to_vec(manifest)?);
        Ok(Self {
            digest: digest(&manifest),
            manifest,
            blobs,
        })
    }

    /// Where other manifests refer to this one.
    pub(super) fn descriptor(&self) -> OciDescriptor {
        describe(OCI_IMAGE_MEDIA_TYPE, &self.manifest)
    }
}

/// A component's configuration, as the "Wasm OCI Artifact layout" describes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: Vec<String>,
    component: Interfaces,
}

/// What a component imports and exports.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Interfaces {
    exports: Vec<String>,
    imports: Vec<String>,
}

/// The artifact of a component. It follows from the component alone, so the same component has the same digest everywhere, and all
/// statements about it meet there.
pub(super) fn of_component(component: &Bytes, place: &str) -> Result<Artifact, Error> {
    let not_a_component = |reason: String| Error::NotAComponent {
        place: COMPONENT.to_owned(),
        reason,
    };
    let configuration = Configuration {
        created: "1970-01-01T00:00:00Z",
        architecture: "wasm",
        os: "wasip2",
        layer_digests: vec![digest(component)],
        component: interfaces(component).map_err(not_a_component)?,
    };
    let build = || {
        let configuration = Bytes::from(serde_json::to_vec(&configuration)?);
        let manifest = OciImageManifest {
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config: describe(WASM_CONFIG, &configuration),
            layers: vec![describe(WASM, component)],
            ..OciImageManifest::default()
        };
        Artifact::new(&manifest, vec![component.clone(), configuration])
    };
    build().map_err(|error| unwritable(place, &error))
}

/// The artifact of all else in a release, which refers to the component's; none where there is nothing else.
pub(super) fn of_statement(
    bundle: &Bundle,
    component: &Artifact,
    place: &str,
) -> Result<Option<Artifact>, Error> {
    let configuration = Bytes::from_static(b"{}");
    let (mut layers, mut blobs) = (Vec::new(), vec![configuration.clone()]);
    for (name, bytes) in bundle.files().filter(|(name, _)| *name != COMPONENT) {
        let kind = match name.ends_with(".json") {
            true => "application/json",
            false => "text/plain",
        };
        let annotations = BTreeMap::from([(TITLE.to_owned(), name.to_owned())]);
        layers.push(OciDescriptor {
            annotations: Some(annotations),
            ..describe(kind, bytes)
        });
        blobs.push(bytes.clone());
    }
    if layers.is_empty() {
        return Ok(None);
    }
    let manifest = OciImageManifest {
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        artifact_type: Some(RELEASE.to_owned()),
        config: describe(EMPTY, &configuration),
        layers,
        subject: Some(component.descriptor()),
        ..OciImageManifest::default()
    };
    let artifact = Artifact::new(&manifest, blobs);
    artifact
        .map(Some)
        .map_err(|error| unwritable(place, &error))
}

/// The component that a manifest is about.
pub(super) fn component(
    manifest: &[u8],
    digest: &str,
    place: &str,
) -> Result<OciDescriptor, Error> {
    let not_a_component = |reason: String| Error::NotAComponent {
        place: place.to_owned(),
        reason,
    };
    let manifest = match serde_json::from_slice(manifest) {
        Ok(OciManifest::Image(manifest)) => manifest,
        Ok(OciManifest::ImageIndex(_)) => {
            return Err(not_a_component(
                "it is a list of artifacts: name one of them by its digest".to_owned(),
            ));
        }
        Err(error) => return Err(not_a_component(format!("its manifest is none: {error}"))),
    };
    if manifest.artifact_type.as_deref() == Some(RELEASE) {
        return Err(Error::StatementWithoutComponent {
            place: place.to_owned(),
            digest: digest.to_owned(),
            reason: match manifest.subject {
                Some(subject) => format!("is about the component {}", shown(&subject.digest)),
                None => "is about no component".to_owned(),
            },
        });
    }
    if manifest.config.media_type != WASM_CONFIG {
        let kind = shown(&manifest.config.media_type);
        return Err(not_a_component(format!(
            "its configuration has the type {kind}, not {WASM_CONFIG}"
        )));
    }
    let mut layers = manifest.layers.into_iter();
    match (layers.next(), layers.count()) {
        (Some(layer), 0) if layer.media_type == WASM => Ok(layer),
        (Some(layer), 0) => Err(not_a_component(format!(
            "its layer has the type {}, not {WASM}",
            shown(&layer.media_type)
        ))),
        (None, _) => Err(not_a_component("it has no layer".to_owned())),
        (Some(_), more) => Err(Error::TwoComponents {
            place: place.to_owned(),
            reason: format!("its artifact has {} layers", more + 1),
        }),
    }
}

/// The files of a statement's artifact, by their names, which must be about the component `subject`.
pub(super) fn statement(
    manifest: &[u8],
    digest: &str,
    subject: &str,
    place: &str,
) -> Result<BTreeMap<String, OciDescriptor>, Error> {
    let invalid = |reason: String| Error::Registry {
        place: place.to_owned(),
        reason: format!("its statement {digest} {reason}"),
    };
    let manifest: OciImageManifest = serde_json::from_slice(manifest)
        .map_err(|error| invalid(format!("has a manifest that is none: {error}")))?;
    if manifest.artifact_type.as_deref() != Some(RELEASE) {
        return Err(invalid(format!("has not the type {RELEASE}")));
    }
    let elsewhere = match manifest.subject {
        Some(found) if found.digest == subject => None,
        Some(found) => Some(format!(
            "is about another component, {}",
            shown(&found.digest)
        )),
        None => Some("is about no component".to_owned()),
    };
    if let Some(reason) = elsewhere {
        return Err(Error::StatementWithoutComponent {
            place: place.to_owned(),
            digest: digest.to_owned(),
            reason,
        });
    }
    let mut files = BTreeMap::new();
    for layer in manifest.layers {
        let annotations = layer.annotations.as_ref();
        let name = annotations.and_then(|annotations| annotations.get(TITLE));
        let Some(name) = name.filter(|name| Bundle::limit(name).is_some()).cloned() else {
            continue;
        };
        if name == COMPONENT {
            return Err(Error::TwoComponents {
                place: place.to_owned(),
                reason: format!("its statement {digest} brings another {COMPONENT}"),
            });
        }
        if files.insert(name.clone(), layer).is_some() {
            return Err(Error::Twice {
                place: place.to_owned(),
                file: name,
            });
        }
    }
    Ok(files)
}

/// `sha256:` and the hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", copal_trust::sha256(bytes))
}

/// Whether a text is a digest as [`digest`] spells it.
pub(super) fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64
        && hex
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn describe(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest(bytes),
        size: bytes.len() as i64,
        ..OciDescriptor::default()
    }
}

/// What a component imports and exports itself; what lies within it does not count.
fn interfaces(component: &[u8]) -> Result<Interfaces, String> {
    let mut interfaces = Interfaces::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| error.to_string())?;
        let broken = |error: wasmparser::BinaryReaderError| error.to_string();
        match payload {
            Payload::Version { encoding, .. } if depth == 0 && encoding == Encoding::Module => {
                return Err("it is a core module, not a component".to_owned());
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    interfaces
                        .imports
                        .push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    interfaces
                        .exports
                        .push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(interfaces)
}

/// What a registry calls something, fit to be shown.
fn shown(text: &str) -> String {
    crate::web::first_words(text.as_bytes())
}

fn unwritable(place: &str, error: &serde_json::Error) -> Error {
    Error::Registry {
        place: place.to_owned(),
        reason: format!("no manifest can be made for it: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_says_what_it_imports_and_exports_itself() {
        let component = wat::parse_str(
            r#"(component
                (import "copal:plugin/log@0.1.0" (instance))
                (import "wasi:cli/environment@0.2.0" (instance))
                (component (import "hidden:deep/in@1.0.0" (instance)))
                (core module (import "hidden" "deeper" (func)))
                (instance $app)
                (export "copal:plugin/app@0.1.0" (instance $app))
            )"#,
        )
        .unwrap();
        let expected = Interfaces {
            exports: vec!["copal:plugin/app@0.1.0".to_owned()],
            imports: vec![
                "copal:plugin/log@0.1.0".to_owned(),
                "wasi:cli/environment@0.2.0".to_owned(),
            ],
        };
        assert_eq!(interfaces(&component), Ok(expected));
    }

    #[test]
    fn the_artifact_of_a_component_follows_from_the_component_alone() {
        let component = Bytes::from_static(b"\0asm\x0d\0\x01\0");
        let artifact = of_component(&component, "here").unwrap();
        assert_eq!(
            artifact.digest,
            "sha256:28047ab8adbb205c6e49dbbfc34d3eb4f7597ba57f3145f6705d2932e6f787dc"
        );
        let mut bundle = Bundle::default();
        bundle.insert(COMPONENT, component).unwrap();
        assert!(of_statement(&bundle, &artifact, "here").unwrap().is_none());
    }
}
