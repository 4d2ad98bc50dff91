//! Why something is not trusted: each attack and each mishap has a message of its own, and advice.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use semver::Version;

use crate::bundle::BundleError;
use crate::name::PluginName;

mod advice;
mod kind;

/// Why a release, a document, a key or Copal's own knowledge of them is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A file that no release has.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Neither a component nor a statement.
    #[error("there is no plugin: neither `plugin.wasm` nor `release.json`")]
    Empty,
    /// A statement without the component.
    #[error(
        "the statement `release.json` comes without the component `plugin.wasm` that it is about"
    )]
    NoComponent,
    /// A component without the statement.
    #[error(
        "the component `plugin.wasm` comes without the statement `release.json` about it, so nothing says who made it"
    )]
    NoStatement,
    /// A statement without a signature.
    #[error("`{document}` is signed by nobody")]
    Unsigned {
        /// The document.
        document: String,
    },
    /// An unsigned plugin under a name whose publisher signs.
    #[error("{plugin} is unsigned, and its publisher `{}` is known here and signs its releases", plugin.publisher())]
    UnsignedOfPublisher {
        /// The plugin.
        plugin: PluginName,
    },
    /// A name that belongs to the plugins in the program.
    #[error(
        "the names `copal/…` belong to the plugins that come with Copal; `{name}` can't be installed or trusted"
    )]
    Reserved {
        /// The plugin or publisher.
        name: String,
    },
    /// A name that is none.
    #[error(
        "`{name}` is no name of a {what}: write {form} 1 to 64 lower-case letters, digits and `-`, the first no `-`"
    )]
    Name {
        /// `plugin` or `publisher`.
        what: &'static str,
        /// The name, fit to be shown.
        name: String,
        /// How such a name is written.
        form: &'static str,
    },
    /// A document that can't be read.
    #[error("`{document}` is not valid: {problem}")]
    Document {
        /// The document.
        document: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A document in a format of a later Copal.
    #[error("`{document}` is written in format {format}, and this Copal reads format 1")]
    Format {
        /// The document.
        document: String,
        /// Its format.
        format: u32,
    },
    /// Another plugin than the one that was asked for.
    #[error("the release is one of {found}, and {expected} was asked for")]
    OtherPlugin {
        /// The plugin that was asked for.
        expected: PluginName,
        /// The plugin that it is.
        found: PluginName,
    },
    /// A publisher document of somebody else.
    #[error(
        "`{document}` is the document of the publisher `{found}`, and that of `{expected}` belongs there"
    )]
    OtherPublisher {
        /// The document.
        document: String,
        /// Whose it should be.
        expected: String,
        /// Whose it is.
        found: String,
    },
    /// The component's first eight bytes are not those of a component.
    #[error(
        "the first eight bytes of `plugin.wasm` are not a component's (but {found}): they were rewritten, or it never was one"
    )]
    Header {
        /// What they are.
        found: String,
    },
    /// Another component than the statement's.
    #[error(
        "`plugin.wasm` is not the component that {plugin} {version} was signed with: its SHA-256 is {found}, not {expected}"
    )]
    Tampered {
        /// The plugin.
        plugin: PluginName,
        /// Its version, as stated.
        version: Version,
        /// The digest that is stated.
        expected: String,
        /// The digest that it has.
        found: String,
    },
    /// The component says something else of itself than the statement.
    #[error(
        "the statement about {plugin} does not fit the component: its {what} stated are `{stated}`, the component's `{found}`"
    )]
    Described {
        /// The plugin, as stated.
        plugin: PluginName,
        /// `contract`, `world`, `name`, `version`, `imports` or `capabilities`.
        what: &'static str,
        /// What only the statement says.
        stated: String,
        /// What only the component says.
        found: String,
    },
    /// The component says something else of itself than when it was installed.
    #[error(
        "{plugin} says something else of itself than when it was installed: its {what} was `{before}` then and is `{now}` now"
    )]
    SaysOtherwise {
        /// The plugin.
        plugin: PluginName,
        /// `name`, `version` or `capabilities`.
        what: &'static str,
        /// What it said.
        before: String,
        /// What it says.
        now: String,
    },
    /// What lies in the data folder is not what was installed.
    #[error("{} is not what was installed as {plugin}: {problem}", path.display())]
    Swapped {
        /// The plugin.
        plugin: PluginName,
        /// The file or folder.
        path: PathBuf,
        /// How it differs.
        problem: String,
    },
    /// A signature's file that is none.
    #[error("a signature of `{document}` can't be read: {problem}")]
    Signature {
        /// The document.
        document: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A signature that its key did not make of these bytes.
    #[error(
        "the signature of `{document}` by the key {key} is false: the document was changed, or the signature is another one's"
    )]
    SignatureWrong {
        /// The document.
        document: String,
        /// The key's id.
        key: String,
    },
    /// A signature by another key than the one asked about.
    #[error("`{document}` is signed by the key {found}, not by {expected}")]
    OtherKey {
        /// The document.
        document: String,
        /// The id of the key that signed.
        found: String,
        /// The id of the key that should have.
        expected: String,
    },
    /// Fewer keys signed than must.
    #[error(
        "`{document}` is signed by {signed} of the keys of `{publisher}`, and {threshold} must sign"
    )]
    TooFewSignatures {
        /// The document.
        document: String,
        /// The publisher.
        publisher: String,
        /// How many keys signed.
        signed: usize,
        /// How many must.
        threshold: u32,
    },
    /// A signature by a revoked key.
    #[error("`{document}` is signed by the key {key}, which `{publisher}` has revoked")]
    KeyRevoked {
        /// The document.
        document: String,
        /// The publisher.
        publisher: String,
        /// The key's id.
        key: String,
    },
    /// A signature by a key that was replaced.
    #[error("`{document}` is signed by the key {key}, which `{publisher}` has replaced since")]
    KeyRetired {
        /// The document.
        document: String,
        /// The publisher.
        publisher: String,
        /// The key's id.
        key: String,
    },
    /// Somebody else uses the name of a known publisher.
    #[error(
        "somebody else uses the name `{publisher}`: its known keys are {known}, and this is signed by {found}"
    )]
    NameTaken {
        /// The publisher.
        publisher: String,
        /// The ids of the known keys.
        known: String,
        /// The ids of the other keys.
        found: String,
    },
    /// A publisher that nobody said to trust.
    #[error("the publisher `{publisher}` is not trusted here{}", fingerprint.as_ref().map(|hex| format!(" (the fingerprint of its document is {hex})")).unwrap_or_default())]
    PublisherUnknown {
        /// The publisher.
        publisher: String,
        /// The fingerprint of the document that the release brings.
        fingerprint: Option<String>,
    },
    /// No publisher document where one is needed.
    #[error("there is no publisher document `publisher.json`")]
    NoPublisher,
    /// An older publisher document than the known one.
    #[error(
        "`publisher.json` is version {found} of the document of `{publisher}`, and version {known} is known here: an old one was brought again"
    )]
    Replayed {
        /// The publisher.
        publisher: String,
        /// The version known.
        known: u32,
        /// The version brought.
        found: u32,
    },
    /// Two documents of one version.
    #[error(
        "there are two different documents of version {version} of the publisher `{publisher}`"
    )]
    Forked {
        /// The publisher.
        publisher: String,
        /// The version.
        version: u32,
    },
    /// A version between is missing.
    #[error(
        "`publisher.json` is version {found} of the document of `{publisher}`, version {known} is known here, and `publisher.{missing}.json` is missing between them"
    )]
    VersionMissing {
        /// The publisher.
        publisher: String,
        /// The version known.
        known: u32,
        /// The version brought.
        found: u32,
        /// The first version that is missing.
        missing: u32,
    },
    /// A later version that forgets a revocation.
    #[error(
        "version {version} of the document of `{publisher}` takes back the revocation of {what}, and a revocation is for good"
    )]
    RevocationTakenBack {
        /// The publisher.
        publisher: String,
        /// The version.
        version: u32,
        /// What is no longer revoked.
        what: String,
    },
    /// A publisher document whose time is over.
    #[error(
        "version {version} of the document of the publisher `{publisher}` expired at {not_after}"
    )]
    Expired {
        /// The publisher.
        publisher: String,
        /// The version.
        version: u32,
        /// When it expired.
        not_after: Timestamp,
    },
    /// Made later than now.
    #[error("`{document}` says that it was made at {created}, and here it is {now}")]
    FromTheFuture {
        /// The document.
        document: String,
        /// When it says it was made.
        created: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// A release that its publisher took back.
    #[error("`{publisher}` has revoked this release of {plugin}: {reason}")]
    ReleaseRevoked {
        /// The plugin.
        plugin: PluginName,
        /// The publisher.
        publisher: String,
        /// Why.
        reason: String,
    },
    /// An older version than one that was here.
    #[error("{plugin} {version} is older than {highest}, which was installed here before")]
    Downgrade {
        /// The plugin.
        plugin: PluginName,
        /// The version offered.
        version: Version,
        /// The highest version seen.
        highest: Version,
    },
    /// Two components under one version.
    #[error(
        "there are two components for one statement: {plugin} {version} was {known} before and is {found} now (SHA-256)"
    )]
    TwoComponents {
        /// The plugin.
        plugin: PluginName,
        /// The version.
        version: Version,
        /// The digest seen before.
        known: String,
        /// The digest now.
        found: String,
    },
    /// One component under two names.
    #[error("the component of {plugin} is installed under another name, as {other}")]
    TwoNames {
        /// The plugin.
        plugin: PluginName,
        /// The plugin that has this component.
        other: PluginName,
    },
    /// A release for a later Copal.
    #[error("this release of {plugin} needs Copal {minimum} or later, and this is {host}")]
    HostTooOld {
        /// The plugin.
        plugin: PluginName,
        /// The oldest Copal that it works with.
        minimum: Version,
        /// This Copal.
        host: Version,
    },
    /// Capabilities that the operator did not approve.
    #[error("{plugin} {version} may ask for what was not approved: {}", new.join("; "))]
    NotApproved {
        /// The plugin.
        plugin: PluginName,
        /// Its version.
        version: Version,
        /// The capability hash that must be approved.
        capability_hash: String,
        /// What is new.
        new: Vec<String>,
    },
    /// An approval of other capabilities than these.
    #[error(
        "the capabilities approved are those of the hash {approved}, and {plugin} {version} has {capability_hash}"
    )]
    OtherApproved {
        /// The plugin.
        plugin: PluginName,
        /// Its version.
        version: Version,
        /// The hash that was approved.
        approved: String,
        /// The hash that it has.
        capability_hash: String,
    },
    /// A place that is too long to be kept.
    #[error(
        "the place that the release comes from has more than {limit} bytes, so updates could not be looked for there"
    )]
    Source {
        /// The most that it may have.
        limit: usize,
    },
    /// A plugin that is not installed.
    #[error("{0} is not installed")]
    NotInstalled(PluginName),
    /// A publisher that is not trusted, where only a trusted one makes sense.
    #[error("the publisher `{0}` is not trusted here")]
    NotTrusted(String),
    /// A publisher whose plugins are installed.
    #[error("plugins of the publisher `{publisher}` are installed: {plugins}")]
    InUse {
        /// The publisher.
        publisher: String,
        /// Its plugins.
        plugins: String,
    },
    /// An approval that can't be stored.
    #[error("this can't be allowed: {0}")]
    Approval(String),
    /// Something that was not allowed in the first place.
    #[error("{plugin} has no such approval{}", grant.as_ref().map(|grant| format!(" as `{grant}`")).unwrap_or_default())]
    NoApproval {
        /// The plugin.
        plugin: PluginName,
        /// The grant, fit to be shown.
        grant: Option<String>,
    },
    /// A text that is no public key.
    #[error("this is no public key of minisign's")]
    PublicKey,
    /// A secret key that can't be used.
    #[error("the secret key can't be used: {0}")]
    SecretKey(String),
    /// A password is needed.
    #[error("the secret key is protected by a password, and none was given")]
    PasswordMissing,
    /// A wrong password.
    #[error("the password does not open the secret key")]
    PasswordWrong,
    /// A password that no key can have.
    #[error("a password has 1 to {limit} bytes")]
    PasswordUnfit {
        /// The most that it may have.
        limit: usize,
    },
    /// A comment that no signature can have.
    #[error("`{0}` can't be the comment of a signature: it must be one line of at most 8192 bytes")]
    Comment(String),
    /// A key's file that exists.
    #[error("{} exists, and a key is never overwritten", .0.display())]
    KeyExists(PathBuf),
    /// Copal's own file is damaged.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// How.
        problem: String,
    },
    /// Others may write where Copal keeps what it trusts.
    #[error("{} is not safe to keep trust in: {problem}", path.display())]
    Exposed {
        /// The folder.
        path: PathBuf,
        /// Who may do what.
        problem: String,
    },
    /// Another Copal works on the same files.
    #[error("another Copal is changing {} now", .0.display())]
    Busy(PathBuf),
    /// What was decided on is no longer what it was.
    #[error("what is known of `{0}` was changed by another Copal meanwhile")]
    Changed(String),
    /// The operating system.
    #[error("can't {what} {}: {source}", path.display())]
    State {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Refusal {
    pub(crate) fn state(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::State {
            what,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}
