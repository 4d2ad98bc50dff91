//! The chart of wall times, as an SVG.

use std::fmt::Write as _;

use super::{corpus::Corpus, results::Results, tools::Operation};

/// All lengths in pixels.
const WIDTH: usize = 900;
const LABELS: usize = 250;
/// The part of it that the tools' names take.
const NAMES: usize = 100;
/// Room for the figures behind the longest bar.
const FIGURES: usize = 90;
const BAR: usize = 14;
const GAP: usize = 10;
const HEADING: usize = 34;

/// One bar for each tool, operation and corpus. The slowest of an operation fills the width.
pub(crate) fn chart(all: &[(Corpus, Results)]) -> String {
    let mut bars = String::new();
    let mut y = GAP;
    for (corpus, results) in all {
        text(&mut bars, 0, y + 18, "heading", corpus.name());
        y += HEADING;
        for operation in Operation::ALL {
            let measured: Vec<_> = results
                .tools
                .iter()
                .filter_map(|tool| Some((tool, tool.medians(operation)?.wall)))
                .collect();
            let slowest = measured.iter().map(|(_, wall)| *wall).fold(0.0, f64::max);
            if slowest == 0.0 {
                continue;
            }
            text(&mut bars, 0, y + BAR - 3, "", operation.name());
            for (tool, wall) in measured {
                let room = (WIDTH - LABELS - FIGURES) as f64;
                let class = if tool.is_own() { "copal" } else { "peer" };
                let length = (wall / slowest * room).max(1.0);
                text(&mut bars, LABELS - NAMES, y + BAR - 3, "", &tool.name);
                // Writing to a string does not fail.
                let _ = writeln!(
                    bars,
                    "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\"/>",
                    BAR - 2
                );
                let end = LABELS + length as usize + 6;
                text(&mut bars, end, y + BAR - 3, "", &format!("{wall:.2} s"));
                y += BAR;
            }
            y += GAP;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" role=\"img\" aria-label=\"Wall time of each operation, by tool\">\n\
         <style>text {{ font: 12px sans-serif; fill: #222 }} .heading {{ font: bold 15px sans-serif }} .copal {{ fill: #c8641e }} .peer {{ fill: #a9b4bd }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{bars}</svg>\n"
    )
}

fn text(out: &mut String, x: usize, y: usize, class: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{}\" y=\"{y}\">{text}</text>",
        x + 8
    );
}
