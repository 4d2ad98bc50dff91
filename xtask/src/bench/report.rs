//! Tables of medians, and the page that has them all.

use std::fmt::Write as _;

use super::{
    corpus::Corpus,
    results::Results,
    tools::{Operation, PRIMITIVES},
};

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
    columns(&mut page, all);
    for operation in Operation::ALL {
        let _ = write!(page, "| {}", operation.name());
        for (_, results) in all {
            let _ = write!(page, " | {}", ratio(results, operation).unwrap_or_default());
        }
        page += " |\n";
    }
    page += "\nHow much of the time that Copal takes the primitives alone take: what is at 100 % can't be done faster in this format.\n\n|";
    columns(&mut page, all);
    for operation in Operation::ALL {
        let shares = all.iter().map(|(_, results)| share(results, operation));
        let shares: Vec<_> = shares.collect();
        if shares.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(page, "| {}", operation.name());
        for share in shares {
            let _ = write!(page, " | {}", share.unwrap_or_default());
        }
        page += " |\n";
    }
    for (corpus, results) in all {
        page += &table(*corpus, results);
    }
    page
}

/// The head of a table with a column for each corpus.
fn columns(page: &mut String, all: &[(Corpus, Results)]) {
    for (corpus, _) in all {
        let _ = write!(page, " | {}", corpus.name());
    }
    *page += " |\n|---";
    *page += &"|---".repeat(all.len());
    *page += "|\n";
}

/// What the primitives take of Copal's time.
fn share(results: &Results, operation: Operation) -> Option<String> {
    let wall = |tool| Some(results.tool(tool)?.medians(operation)?.wall);
    let share = wall(PRIMITIVES)? / wall("copal")?;
    Some(format!("{:.0} %", 100.0 * share))
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
