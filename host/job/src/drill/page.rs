//! Evidence as a page that a person can read: one file of HTML that loads nothing.

use std::fmt::Write as _;

use copal_sandbox::types::Severity;
use jiff::Timestamp;

use super::evidence::{Evidence, Verdict, count};
use super::recorder::Purpose;
use crate::proposal::intent_word;

/// How many differences and missing entries are listed; the JSON beside the page holds more.
const LISTED: usize = 100;

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{max-width:56rem;margin:2rem auto;padding:0 1rem}\
h1{margin-bottom:.2rem}h2{margin-top:2rem;border-bottom:1px solid #8886}\
.verdict{display:inline-block;padding:.1rem .8rem;border-radius:.4rem;color:#fff;font-weight:600}\
.passed{background:#1a7f37}.incomplete{background:#9a6700}.failed{background:#cf222e}\
.time{font-size:2.2rem;font-weight:600}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #8883}\
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}th{font-weight:600}\
td,li,p{overflow-wrap:anywhere}code{font-family:ui-monospace,monospace;font-size:.9em}\
.remedy{opacity:.8}";

/// The page.
pub(super) fn render(evidence: &Evidence) -> String {
    let mut page = Page::default();
    page.head(evidence);
    page.list("What was proven", &evidence.proven);
    page.list("What went wrong", &evidence.problems);
    page.phases(evidence);
    page.compared(evidence);
    page.findings(evidence);
    page.missing(evidence);
    page.about(evidence);
    page.0 += "</body>\n</html>\n";
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, evidence: &Evidence) {
        let (class, sentence) = match evidence.verdict {
            Verdict::Passed => ("passed", "The snapshot can be recovered."),
            Verdict::Incomplete => (
                "incomplete",
                "The snapshot can be recovered, but not all of it is what it was.",
            ),
            Verdict::Failed => (
                "failed",
                "The drill failed: do not rely on this snapshot before the cause is known.",
            ),
        };
        let job = escape(&evidence.job);
        self.add(format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>Recovery drill of {job}: {class}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <h1>Recovery drill of {job}</h1>\n<p>{}</p>\n\
             <p><span class=\"verdict {class}\">{class}</span> {sentence}</p>\n",
            time(evidence.begun),
        ));
    }

    fn list(&mut self, heading: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.heading(heading);
        self.0 += "<ul>\n";
        for line in lines {
            self.add(format_args!("<li>{}</li>\n", sentence(line)));
        }
        self.0 += "</ul>\n";
    }

    fn phases(&mut self, evidence: &Evidence) {
        self.heading("How long a recovery takes");
        let total: f64 = evidence.phases.iter().map(|phase| phase.seconds).sum();
        let recovery = match evidence.recovery_seconds {
            Some(seconds) => duration(seconds),
            None => "not known".to_owned(),
        };
        self.add(format_args!(
            "<p class=\"time\">{recovery}</p>\n<p>on this machine, to a scratch place; the whole drill took {}.</p>\n",
            duration(total),
        ));
        self.table(&["", "Part", "Time"]);
        for phase in &evidence.phases {
            let purpose = match phase.purpose {
                Purpose::Prepare => "scratch place",
                Purpose::Recover => "recovery",
                Purpose::Compare => "comparison",
                Purpose::Remove => "removal",
            };
            self.add(format_args!(
                "<tr><td>{purpose}</td><td>{}</td><td class=\"n\">{}</td></tr>\n",
                escape(&phase.title),
                duration(phase.seconds),
            ));
        }
        self.0 += "</table>\n";
    }

    fn compared(&mut self, evidence: &Evidence) {
        if evidence.compared.is_empty() {
            return;
        }
        self.heading("What was compared");
        self.table(&[
            "Root",
            "Files, byte for byte",
            "Size",
            "Other entries",
            "Rewritten",
            "Left out",
            "Different",
        ]);
        for compared in &evidence.compared {
            let found = &compared.comparison;
            self.add(format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(&compared.root),
                found.files,
                bytes(found.bytes),
                found.others,
                found.rewritten,
                found.left_out,
                found.different,
            ));
        }
        self.0 += "</table>\n";
        let named = evidence.compared.iter().flat_map(|compared| {
            let root = &compared.root;
            let named = compared.comparison.differences.iter();
            named.map(move |difference| {
                format!("{root}/{}: {}", difference.path, difference.problem)
            })
        });
        self.long_list("Differences", named.collect());
    }

    fn findings(&mut self, evidence: &Evidence) {
        if evidence.findings.is_empty() {
            return;
        }
        self.heading("Findings");
        self.table(&["", "Finding", "Code"]);
        for finding in &evidence.findings {
            let severity = match finding.severity {
                Severity::Info => "info",
                Severity::Warning => "warning",
                Severity::Error => "ERROR",
            };
            let path = finding
                .path
                .as_deref()
                .map(|path| format!(" [{path}]"))
                .unwrap_or_default();
            let remedy = finding.remedy.as_deref().map(sentence);
            let remedy = remedy.map(|remedy| format!("<br><span class=\"remedy\">{remedy}</span>"));
            self.add(format_args!(
                "<tr><td>{severity}</td><td>{}{}</td><td><code>{}</code></td></tr>\n",
                sentence(&format!("{}{path}", finding.message)),
                remedy.unwrap_or_default(),
                escape(&finding.code),
            ));
        }
        self.0 += "</table>\n";
    }

    fn missing(&mut self, evidence: &Evidence) {
        let missing = evidence.missing.iter();
        let missing = missing.map(|missing| format!("{}: {}", missing.path, missing.error));
        self.long_list("Not restored, or not exactly", missing.collect());
    }

    fn about(&mut self, evidence: &Evidence) {
        let snapshot = &evidence.snapshot;
        self.heading("About this drill");
        self.0 += "<table>\n";
        let age = duration(snapshot.age_seconds.max(0) as f64);
        self.row("Snapshot", &snapshot.id.to_string());
        self.row(
            "Taken",
            &format!(
                "{} on {}; {age} old when the drill began",
                time(snapshot.time),
                snapshot.hostname
            ),
        );
        self.row("Of", &snapshot.paths.join(", "));
        self.row("Repository", &evidence.repository);
        if let Some(plugin) = &evidence.plugin {
            self.row(
                "Plugin",
                &format!(
                    "{} {}, SHA-256 {}",
                    plugin.name, plugin.version, plugin.digest
                ),
            );
        }
        if let Some(intent) = evidence.intent {
            self.row("Intent", intent_word(intent));
        }
        for (key, value) in &evidence.config {
            self.row(&format!("Setting {key}"), &value.to_string());
        }
        if let Some(postgres) = &evidence.postgres {
            self.row("Scratch server", postgres);
        }
        for step in &evidence.steps {
            let title = format!("{}{}", if step.undo { "Undo: " } else { "" }, step.title);
            self.row(
                "Step",
                &format!("{title}: {}", step.error.as_deref().unwrap_or("done")),
            );
        }
        for kept in &evidence.kept {
            self.row(
                "Kept",
                &format!("{}; `copal resume` removes it", kept.display()),
            );
        }
        self.row(
            "Drilled with",
            &format!("{} on {}", evidence.program, evidence.hostname),
        );
        self.row(
            "From, to",
            &format!("{} to {}", time(evidence.begun), time(evidence.ended)),
        );
        self.0 += "</table>\n";
    }

    fn long_list(&mut self, heading: &str, mut lines: Vec<String>) {
        let more = lines.len().saturating_sub(LISTED);
        lines.truncate(LISTED);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        self.list(heading, &lines);
    }

    fn heading(&mut self, heading: &str) {
        self.add(format_args!("<h2>{heading}</h2>\n"));
    }

    fn table(&mut self, header: &[&str]) {
        self.0 += "<table>\n<tr>";
        for name in header {
            self.add(format_args!("<th>{name}</th>"));
        }
        self.0 += "</tr>\n";
    }

    fn row(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.add(format_args!(
                "<tr><th>{}</th><td>{}</td></tr>\n",
                escape(name),
                escape(value)
            ));
        }
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String never fails.
        let _ = self.0.write_fmt(text);
    }
}

/// A sentence in HTML, with what stands between backticks set as code.
fn sentence(text: &str) -> String {
    let mut parts = text.split('`');
    let mut html = parts.next().map(escape).unwrap_or_default();
    while let Some(code) = parts.next() {
        html += &match parts.next() {
            Some(rest) => format!("<code>{}</code>{}", escape(code), escape(rest)),
            None => format!("`{}", escape(code)),
        };
    }
    html
}

/// Text that stands for itself in HTML, without what could reorder or hide what surrounds it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        let hides = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\n' => escaped += "<br>",
            c if c.is_control() || hides => escaped.extend(c.escape_default()),
            c => escaped.push(c),
        }
    }
    escaped
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A time span in its two largest units.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 9.995 {
        return format!("{seconds:.2} s");
    } else if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
        _ => format!(
            "{}, {} h",
            count(whole / 86_400, "day", "days"),
            whole / 3_600 % 24
        ),
    }
}

/// A number of bytes with a binary unit.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut amount = bytes as f64;
    let mut unit = None;
    for larger in UNITS {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = Some(larger);
    }
    match unit {
        Some(unit) => format!("{amount:.1} {unit}"),
        None => count(bytes, "byte", "bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_becomes_markup_or_hides() {
        let name = "<script>alert('x')</script>\" onload=\u{202e}\u{7}";
        assert_eq!(
            escape(name),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=\\u{202e}\\u{7}"
        );
    }

    #[test]
    fn only_what_stands_between_two_backticks_is_code() {
        assert_eq!(
            sentence("`<a>` and `b` or `c"),
            "<code>&lt;a&gt;</code> and <code>b</code> or `c"
        );
    }

    #[test]
    fn spans_and_sizes_are_told_as_a_person_would() {
        let spans = [
            (0.04, "0.04 s"),
            (59.94, "59.9 s"),
            (59.96, "1 min 0 s"),
            (3_599.6, "1 h 0 min"),
        ];
        for (seconds, expected) in spans.into_iter().chain([(90_000.0, "1 day, 1 h")]) {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!(
            (bytes(1), bytes(1023), bytes(1536)),
            ("1 byte".into(), "1023 bytes".into(), "1.5 KiB".into())
        );
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
    }
}
