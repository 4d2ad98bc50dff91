//! As much of Markdown as the book is written in: headings, links and fenced blocks.

/// What a page holds.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The anchors that links can lead to.
    pub(crate) anchors: Vec<String>,
    /// Where links and pictures lead, with the line of each.
    pub(crate) links: Vec<(usize, String)>,
    /// The fenced blocks, in their order.
    pub(crate) blocks: Vec<Block>,
    /// What stands in code spans, with the line of each.
    pub(crate) code: Vec<(usize, String)>,
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands behind the opening fence, such as `console`.
    pub(crate) info: String,
    pub(crate) text: String,
}

impl Page {
    /// Reads a page.
    pub(crate) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut open: Option<(String, Block)> = None;
        for (index, line) in text.lines().enumerate() {
            match &mut open {
                Some((fence, _)) if is_end(line, fence) => {
                    page.blocks.extend(open.take().map(|(_, block)| block));
                }
                Some((_, block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                None => match fence(line) {
                    Some((fence, info)) => {
                        let (info, text) = (info.to_owned(), String::new());
                        open = Some((fence, Block { info, text }));
                    }
                    None => page.line(index + 1, line),
                },
            }
        }
        page
    }

    fn line(&mut self, number: usize, line: &str) {
        if let Some(heading) = heading(line) {
            let anchor = anchor(heading);
            let numbered = |count: usize| match count {
                0 => anchor.clone(),
                count => format!("{anchor}-{count}"),
            };
            let free = (0..).map(numbered).find(|one| !self.anchors.contains(one));
            self.anchors.extend(free);
        }
        let (code, prose) = code_apart(line);
        self.code
            .extend(code.into_iter().map(|code| (number, code)));
        self.links
            .extend(links(&prose).into_iter().map(|link| (number, link)));
    }
}

/// The fence that a line opens a block with, and what stands behind it.
fn fence(line: &str) -> Option<(String, &str)> {
    let line = line.trim_start();
    let mark = ['`', '~']
        .into_iter()
        .find(|mark| line.starts_with(*mark))?;
    let info = line.trim_start_matches(mark);
    let length = line.len() - info.len();
    (length >= 3).then(|| (line[..length].to_owned(), info.trim()))
}

fn is_end(line: &str, fence: &str) -> bool {
    let line = line.trim();
    line.starts_with(fence) && line.chars().all(|c| fence.starts_with(c))
}

fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    (1..=6).contains(&level).then(|| rest.strip_prefix(' '))?
}

/// The anchor of a heading, as mdBook and GitHub make it.
fn anchor(heading: &str) -> String {
    let kept = |c: char| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c),
        _ => None,
    };
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(kept)
        .collect()
}

/// The code spans of a line, and the line without what they hold.
fn code_apart(line: &str) -> (Vec<String>, String) {
    let mut code = Vec::new();
    let mut prose = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('`') {
        let more = after.len() - after.trim_start_matches('`').len();
        let (after, fence) = (&after[more..], "`".repeat(more + 1));
        let Some((inside, next)) = after.split_once(&fence) else {
            break;
        };
        prose.push_str(before);
        code.push(inside.to_owned());
        rest = next;
    }
    prose.push_str(rest);
    (code, prose)
}

/// Where the links and pictures of a line lead.
fn links(prose: &str) -> Vec<String> {
    [
        ("](", ')'),
        ("href=\"", '"'),
        ("src=\"", '"'),
        ("srcset=\"", '"'),
    ]
    .into_iter()
    .flat_map(|(begin, end)| {
        prose
            .split(begin)
            .skip(1)
            .filter_map(move |rest| Some(rest.split_once(end)?.0.to_owned()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_that_mdbook_and_github_make() {
        let page = Page::parse(
            "# What it *is*, in `code`\n## `tree.stat`\n## Twice\n## Twice\n# 安装 插件\n```sh\n# no heading\n```\n#none\n",
        );
        assert_eq!(
            page.anchors,
            [
                "what-it-is-in-code",
                "treestat",
                "twice",
                "twice-1",
                "安装-插件"
            ]
        );
    }

    #[test]
    fn links_are_found_outside_code_and_blocks_alone() {
        let page = Page::parse(
            "See [a](a.md#b), `[no](no.md)` and [`c`](c.md).\n\n```md\n[no](no.md)\n```\n<img src=\"x.svg\" alt=\"\">\n",
        );
        let links: Vec<_> = page
            .links
            .iter()
            .map(|(line, link)| (*line, link.as_str()))
            .collect();
        assert_eq!(links, [(1, "a.md#b"), (1, "c.md"), (6, "x.svg")]);
        assert_eq!(
            page.code,
            [(1, "[no](no.md)".to_owned()), (1, "c".to_owned())]
        );
    }

    #[test]
    fn a_block_has_what_stands_behind_its_fence_and_ends_at_its_own() {
        let page = Page::parse("````text more\n```\n````\n  ~~~\nx\n  ~~~\n");
        let blocks: Vec<_> = page
            .blocks
            .iter()
            .map(|block| (block.info.as_str(), block.text.as_str()))
            .collect();
        assert_eq!(blocks, [("text more", "```\n"), ("", "x\n")]);
    }
}
