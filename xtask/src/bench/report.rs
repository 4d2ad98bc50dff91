//! Tables of medians, and the page that has them all.

use std::fmt::Write as _;

use super::{corpus::Corpus, results::Results, tools::Operation};

/// A page about all corpora that were measured.
pub(crate) fn page(all: &[(Corpus, Results)]) -> String {
    let mut page = String::from(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench --write`, from the figures of the files beside this page. All tools ran on the same machine and took\n\
         turns; each works as it comes, encrypted, in a local directory with the page cache warm. Copal had compiled its plugin before, which\n\
         a machine does once for each version of it; \"copal, filtering\" goes through a plugin that classifies every entry and reads every SQL\n\
         file statement by statement. \"primitives\" is what the format asks for and nothing else: each byte read, cut, hashed, compressed, sealed\n\
         and written on all cores, and back, and the password stretched, without listings, metadata, locks and whatever else Copal does. What is shown are medians. In the first run, what each tool restored was compared with\n\
         the original.\n\n\
         ![Wall time of each operation](chart.svg)\n\n\
         [Where the time goes](limits.md), and where the machine sets the limit.\n\n\
         ## Copal beside the fastest of the others\n\n\
         How many times as long as Copal the fastest of the others takes: above 1, Copal is faster. In parentheses the peak memory of Copal\n\
         as a multiple of restic's.\n\n|",
    );
    for (corpus, _) in all {
        let _ = write!(page, " | {}", corpus.name());
    }
    page += " |\n|---";
    page += &"|---".repeat(all.len());
    page += "|\n";
    for operation in Operation::ALL {
        let _ = write!(page, "| {}", operation.name());
        for (_, results) in all {
            let _ = write!(page, " | {}", ratio(results, operation).unwrap_or_default());
        }
        page += " |\n";
    }
    for (corpus, results) in all {
        page += &table(*corpus, results);
    }
    page
}

fn ratio(results: &Results, operation: Operation) -> Option<String> {
    let copal = results.tool("copal")?.medians(operation)?;
    let (peer, wall) = results.fastest_peer(operation)?;
    let memory = results.tool("restic")?.medians(operation)?.memory;
    Some(format!(
        "{:.2} × {peer} ({:.2})",
        wall / copal.wall,
        copal.memory / memory
    ))
}

/// The part of a page about one corpus.
pub(crate) fn table(corpus: Corpus, results: &Results) -> String {
    let runs = results.tools.iter().map(|tool| tool.runs.len()).max();
    let versions = results.tools.iter().map(|tool| &*tool.version);
    let mut versions: Vec<_> = versions.filter(|version| !version.is_empty()).collect();
    versions.dedup();
    let mut table = format!(
        "\n## {}\n\nThe corpus is {}. Medians of {} runs, and in parentheses the fastest and the slowest.\n\n\
         Machine: {}  \nTools: {}\n\n\
         | | | wall s | | × Copal | CPU s | peak MB |\n|---|---|--:|---|--:|--:|--:|\n",
        corpus.name(),
        corpus.description(),
        runs.unwrap_or_default(),
        results.machine,
        versions.join("; "),
    );
    for operation in Operation::ALL {
        let copal = results
            .tool("copal")
            .and_then(|tool| tool.medians(operation));
        let mut name = operation.name();
        for tool in &results.tools {
            let (Some(medians), Some(copal)) = (tool.medians(operation), copal) else {
                continue;
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| {} | {} | {:.2} | ({:.2}–{:.2}) | {:.2} | {:.2} | {:.0} |",
                std::mem::take(&mut name),
                tool.name,
                medians.wall,
                medians.range.0,
                medians.range.1,
                medians.wall / copal.wall,
                medians.cpu,
                medians.memory / 1e6,
            );
        }
    }
    table
}
