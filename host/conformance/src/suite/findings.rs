//! What the plugin tells people.

use copal_sandbox::types::{Failure, Finding};

use super::{Run, rules};
use crate::saved::STREAMS;

impl Run<'_> {
    /// The form of findings.
    pub(super) fn findings(&mut self, place: &str, findings: &[Finding]) {
        for finding in findings {
            self.told(
                place,
                "the finding",
                &finding.code,
                &finding.message,
                finding.remedy.as_deref(),
            );
            if let Some(path) = &finding.path {
                self.checks
                    .rule(&rules::FINDINGS_FORM, self.is_place(path), || {
                        let code = &finding.code;
                        format!("{place}: the finding `{code}` is about `{path}`, which is not `ROOT` or `ROOT/PATH`")
                    });
            }
        }
    }

    /// The form of a failure.
    pub(super) fn failure(&mut self, place: &str, failure: &Failure) {
        self.told(
            place,
            "the failure",
            &failure.code,
            &failure.message,
            failure.remedy.as_deref(),
        );
    }

    fn told(&mut self, place: &str, what: &str, code: &str, message: &str, remedy: Option<&str>) {
        self.checks.rule(&rules::FINDINGS_FORM, is_code(code), || {
            format!("{place}: {what} has the code `{code}`")
        });
        let said = !message.trim().is_empty();
        self.checks.rule(&rules::FINDINGS_FORM, said, || {
            format!("{place}: {what} `{code}` has no message")
        });
        let advised = remedy.is_none_or(|remedy| !remedy.trim().is_empty());
        self.checks.rule(&rules::FINDINGS_FORM, advised, || {
            format!("{place}: {what} `{code}` has an empty remedy")
        });
    }

    /// Whether it is `ROOT` or `ROOT/PATH`, spelt as the contract says.
    fn is_place(&self, place: &str) -> bool {
        let mut names = place.split('/');
        let root = names.next().unwrap_or_default();
        let known = self.description.roots.iter().any(|own| own.name == root)
            || root == STREAMS
            || (self.description.any_roots && is_word(root));
        known
            && names.all(|name| {
                !matches!(name, "" | "." | "..") && copal_sandbox::name::unescape(name).is_ok()
            })
    }
}

/// Lower-case words joined by dots, such as `jpom.h2.unclean`.
fn is_code(code: &str) -> bool {
    code.contains('.') && code.split('.').all(is_word)
}

/// Letters and digits, and `-` between them.
fn is_word(word: &str) -> bool {
    word.split('-').all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_lower_case_words_joined_by_dots() {
        for code in ["wiki.h2.unclean", "home-assistant.not-found", "a.1"] {
            assert!(is_code(code), "{code}");
        }
        for code in [
            "",
            "wiki",
            "wiki.",
            ".h2",
            "Wiki.h2",
            "wiki.h2 unclean",
            "wiki.-h2",
            "wiki..h2",
        ] {
            assert!(!is_code(code), "{code}");
        }
    }
}
