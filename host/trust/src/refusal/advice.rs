//! What can be done about a refusal.

use super::Refusal;

/// For what came damaged or forged.
const AGAIN: &str = "Get the release again, from its publisher's own place. If it is the same there, tell the publisher and do not use it.";
/// For what only the publisher can mend.
const PUBLISHER: &str = "Only the publisher can mend this: ask there for a release that is whole.";

impl Refusal {
    /// What the operator, or a vendor, can do about it; none where the message says it all.
    pub fn advice(&self) -> Option<String> {
        let advice = match self {
            Self::Bundle(_) | Self::Empty => {
                "Give a release's folder or archive: `plugin.wasm`, `release.json`, their signatures and `publisher.json`, each once."
            }
            Self::NoComponent | Self::OtherPublisher { .. } | Self::OtherPlugin { .. } => {
                "Take all files of a release from one place, and name the plugin that you mean."
            }
            Self::Unsigned { document } if document.starts_with("publisher.") => {
                "A publisher's document is signed with its own keys, by `copal plugin sign`. Get the signed one from the publisher."
            }
            Self::NoStatement | Self::Unsigned { .. } => {
                "Get the signed release. Only for a plugin that you built yourself or have looked through: `copal plugin install --allow-unsigned`."
            }
            Self::UnsignedOfPublisher { .. } => {
                "Get the signed release from the publisher. `--allow-unsigned` does not help here, because anybody could use the name otherwise."
            }
            Self::Reserved { .. } => {
                "The plugins `copal/…` are part of the program and need no installation. A plugin of your own needs a publisher's name of its own."
            }
            Self::Format { .. } | Self::HostTooOld { .. } => {
                "Use a later version of Copal, or an earlier release of the plugin."
            }
            Self::Header { .. }
            | Self::Tampered { .. }
            | Self::SignatureWrong { .. }
            | Self::Signature { .. } => AGAIN,
            Self::Document { .. }
            | Self::Described { .. }
            | Self::TooFewSignatures { .. }
            | Self::KeyRetired { .. }
            | Self::RevocationTakenBack { .. } => PUBLISHER,
            Self::SaysOtherwise { .. } => {
                "A component that changes what it says of itself deceives. Remove it with `copal plugin remove`, and tell its publisher."
            }
            Self::Swapped { .. } => {
                "Somebody changed the file since. Look for who did; then install the plugin again from its release."
            }
            Self::OtherKey { .. } => {
                "Verify with the key that signed, if it is one that you trust."
            }
            Self::KeyRevoked { .. } => {
                "The key may be in wrong hands. Use a release that other keys signed."
            }
            Self::NameTaken { publisher, .. } => {
                return Some(format!(
                    "Do not use it. Only if the publisher says by another way that it lost its keys and began anew: remove its plugins, `copal trust remove {publisher}`, then `copal trust add` the new document and compare its fingerprint.",
                ));
            }
            Self::PublisherUnknown { publisher, .. } => {
                return Some(format!(
                    "Compare the fingerprint with the one that `{publisher}` shows elsewhere, then trust it with `copal trust add`.",
                ));
            }
            Self::NoPublisher => {
                "Give a release, or a folder with `publisher.json` and its signatures."
            }
            Self::Replayed { .. } => {
                "An old document hides what was revoked since. Get the release with the publisher's present document; the document that is known here stays as it is."
            }
            Self::Forked { .. } => {
                "Either the publisher made a mistake or somebody else has its keys. Ask the publisher by another way before you use anything of it."
            }
            Self::VersionMissing { publisher, .. } => {
                return Some(format!(
                    "Get all versions of the document from the publisher `{publisher}` and give them together to `copal trust add`.",
                ));
            }
            Self::Expired { .. } => {
                "Get the publisher's present document with `copal trust add`; if that is the one, only the publisher can renew it, by `copal plugin publisher`. What is installed goes on working."
            }
            Self::FromTheFuture { .. } => {
                "Set this machine's clock. If it is right, the publisher's is wrong: ask there for another release."
            }
            Self::ReleaseRevoked { .. } => {
                "Install a later release of the plugin. If there is none yet, ask its publisher for one: an older one than you had is refused."
            }
            Self::Downgrade { .. } => {
                "An old release may have faults that are known and mended since. Install the newest one."
            }
            Self::TwoComponents { .. } => {
                "A version is released once. Ask the publisher which of the two is its own, and use neither before."
            }
            Self::TwoNames { other, .. } => {
                return Some(format!(
                    "Use {other}, or remove it with `copal plugin remove {other}` first."
                ));
            }
            Self::NotApproved {
                capability_hash, ..
            } => {
                return Some(format!(
                    "Read what the plugin asks for. If you allow it to ask for that: `--approve {capability_hash}`."
                ));
            }
            Self::OtherApproved { .. } => {
                "The hash is mistyped, or the release has changed since you read what it may ask for. Read that again."
            }
            Self::Source { .. } => "Install it from a place with a shorter path or address.",
            Self::NotInstalled(_) => "`copal plugin list` shows what is installed.",
            Self::NotTrusted(_) => "`copal trust list` shows who is trusted.",
            Self::InUse { .. } => {
                "Remove these plugins first: without their publisher nothing would tell that one of them is revoked."
            }
            Self::NoApproval { .. } => "`copal grants list` shows what is allowed.",
            Self::PublicKey => {
                "It is the second line of the file that `copal plugin keygen` or `minisign -G` made, 56 characters that begin with `RW`."
            }
            Self::SecretKey(_) => {
                "Give the file of the secret key that `copal plugin keygen` or `minisign -G` made."
            }
            Self::PasswordWrong => "Type it again, or take the key that it belongs to.",
            Self::KeyExists(_) => "Give other names for the files, or keep using that key.",
            Self::Damaged { .. } => {
                "Nothing was changed. Put the file back from a backup, or move it away to begin anew without what it held."
            }
            Self::Exposed { path, .. } => {
                return Some(format!(
                    "Look whether somebody changed what lies there, then let nobody else write there: `chmod go-w {}`, and `chown` where it is not yours.",
                    path.display()
                ));
            }
            Self::Busy(_) | Self::Changed(_) => "Wait for the other Copal to end, then try again.",
            Self::Name { .. }
            | Self::Approval(_)
            | Self::PasswordMissing
            | Self::PasswordUnfit { .. }
            | Self::Comment(_)
            | Self::State { .. } => return None,
        };
        Some(advice.to_owned())
    }
}
