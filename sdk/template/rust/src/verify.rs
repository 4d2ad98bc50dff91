//! Checks that restored notes are whole.

use copal_sdk::{Failure, Finding, VerifyRequest};

use crate::settings::{SETTINGS, Settings};
use crate::{Config, FORMAT, HOME};

pub(crate) fn verify(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
    let saved: u32 = request.facts.require(FORMAT)?;
    let wrong = |code: &str, message: String| {
        vec![Finding::error(code, message).at(format!("{HOME}/{SETTINGS}"))]
    };
    Ok(match Settings::read(request.targets.require(HOME)?)? {
        Some(settings) if settings.format == saved => Vec::new(),
        Some(settings) => wrong(
            "{{name}}.verify.format",
            format!(
                "The restored notes have format {}, the saved ones had {saved}.",
                settings.format
            ),
        ),
        None => wrong(
            "{{name}}.verify.missing",
            format!("{SETTINGS} was saved and is not there."),
        ),
    })
}
