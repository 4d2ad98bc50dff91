//! The stable words for scripts.

use super::Refusal;

impl Refusal {
    /// A stable word for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bundle(error) => error.kind(),
            Self::Empty => "plugin-missing",
            Self::NoComponent => "plugin-without-component",
            Self::NoStatement => "plugin-without-statement",
            Self::Unsigned { .. } => "plugin-unsigned",
            Self::UnsignedOfPublisher { .. } => "plugin-unsigned-publisher",
            Self::Reserved { .. } => "plugin-reserved",
            Self::Name { .. } => "plugin-name",
            Self::Document { .. } => "plugin-document",
            Self::Format { .. } => "plugin-format",
            Self::OtherPlugin { .. } => "plugin-other",
            Self::OtherPublisher { .. } => "publisher-other",
            Self::Header { .. } => "plugin-header",
            Self::Tampered { .. } => "plugin-tampered",
            Self::Described { .. } | Self::SaysOtherwise { .. } => "plugin-statement-differs",
            Self::Swapped { .. } => "plugin-swapped",
            Self::Signature { .. } => "signature-unreadable",
            Self::SignatureWrong { .. } => "signature-wrong",
            Self::OtherKey { .. } => "signature-other-key",
            Self::TooFewSignatures { .. } => "signatures-too-few",
            Self::KeyRevoked { .. } => "key-revoked",
            Self::KeyRetired { .. } => "key-retired",
            Self::NameTaken { .. } => "publisher-name-taken",
            Self::PublisherUnknown { .. } => "publisher-unknown",
            Self::NoPublisher => "publisher-missing",
            Self::Replayed { .. } => "publisher-replayed",
            Self::Forked { .. } => "publisher-forked",
            Self::VersionMissing { .. } => "publisher-version-missing",
            Self::RevocationTakenBack { .. } => "publisher-revocation-taken-back",
            Self::Expired { .. } => "publisher-expired",
            Self::FromTheFuture { .. } => "plugin-from-the-future",
            Self::ReleaseRevoked { .. } => "plugin-revoked",
            Self::Downgrade { .. } => "plugin-downgrade",
            Self::TwoComponents { .. } => "plugin-two-components",
            Self::TwoNames { .. } => "plugin-two-names",
            Self::HostTooOld { .. } => "plugin-minimum-host",
            Self::NotApproved { .. } | Self::OtherApproved { .. } => "plugin-capabilities",
            Self::Source { .. } => "address",
            Self::NotInstalled(_) => "plugin-not-installed",
            Self::NotTrusted(_) => "publisher-not-trusted",
            Self::InUse { .. } => "publisher-in-use",
            Self::Approval(_) | Self::NoApproval { .. } => "approval",
            Self::PublicKey | Self::SecretKey(_) => "key",
            Self::PasswordMissing | Self::PasswordWrong | Self::PasswordUnfit { .. } => {
                "key-password"
            }
            Self::Comment(_) => "signature-comment",
            Self::KeyExists(_) => "key-exists",
            Self::Damaged { .. } => "trust-damaged",
            Self::Exposed { .. } => "trust-exposed",
            Self::Busy(_) | Self::Changed(_) => "trust-busy",
            Self::State { .. } => "trust-files",
        }
    }
}
