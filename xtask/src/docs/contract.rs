//! The reference of the contract: one page for each interface of `wit/`, and one for the world.

mod types;

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context, Result};
use wit_parser::{
    Docs, Function, Interface, InterfaceId, Resolve, TypeDef, TypeDefKind, WorldItem,
};

use self::types::Spelling;

/// Says that nobody edits these pages.
const NOTE: &str = "<!-- Written by `cargo xtask docs` from wit/. Edit that, and run it again. -->";

/// Every page by its file's name.
pub(crate) fn pages(wit: &Path) -> Result<BTreeMap<String, String>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .with_context(|| format!("cannot read {}", wit.display()))?;
    let package = &resolve.packages[package];
    let mut pages = BTreeMap::new();
    for (name, id) in &package.interfaces {
        let page = Page {
            resolve: &resolve,
            interface: *id,
        };
        pages.insert(format!("{name}.md"), page.text(name)?);
    }
    pages.insert("index.md".to_owned(), world(&resolve)?);
    Ok(pages)
}

/// The page of the package and its world: which interface is for what.
fn world(resolve: &Resolve) -> Result<String> {
    let (_, package) = resolve.packages.iter().next().context("no package")?;
    let mut text = format!("{NOTE}\n\n# The contract `{}`\n\n", package.name);
    text += &paragraphs(&package.docs);
    text += "The text is the WIT package in `wit/`. [The plugin contract](../../plugin-contract.md) is the way through it.\n\n";
    for (name, id) in &package.worlds {
        let world = resolve.worlds.get(*id).context("no world")?;
        writeln!(text, "## World `{name}`\n")?;
        text += &paragraphs(&world.docs);
        text += "| interface | | |\n|---|---|---|\n";
        let exported = |item: &WorldItem| match item {
            WorldItem::Interface { id, .. } => Some(*id),
            _ => None,
        };
        let exports: Vec<InterfaceId> = world.exports.values().filter_map(exported).collect();
        let imports: Vec<InterfaceId> = world.imports.values().filter_map(exported).collect();
        let rank = |id: InterfaceId| match id {
            id if exports.contains(&id) => 0,
            id if has_functions(resolve, id) => 1,
            _ => 2,
        };
        let mut interfaces: Vec<_> = package.interfaces.iter().collect();
        interfaces.sort_by_key(|(name, id)| (rank(**id), *name));
        for (name, id) in interfaces {
            let role = if exports.contains(id) {
                "a plugin exports it"
            } else if has_functions(resolve, *id) && imports.contains(id) {
                "a plugin may import it"
            } else {
                "words that the others use"
            };
            let docs = &resolve.interfaces[*id].docs;
            writeln!(
                text,
                "| [`{name}`]({name}.md) | {role} | {} |",
                first_sentence(docs)
            )?;
        }
        text.push('\n');
    }
    Ok(finished(&text))
}

fn has_functions(resolve: &Resolve, interface: InterfaceId) -> bool {
    let interface = &resolve.interfaces[interface];
    !interface.functions.is_empty()
}

/// One interface's page.
struct Page<'a> {
    resolve: &'a Resolve,
    interface: InterfaceId,
}

impl Page<'_> {
    fn text(&self, name: &str) -> Result<String> {
        let interface: &Interface = &self.resolve.interfaces[self.interface];
        let mut text = format!("{NOTE}\n\n# Interface `{name}`\n\n");
        text += &paragraphs(&interface.docs);
        let free: Vec<&Function> = interface
            .functions
            .values()
            .filter(|function| function.kind.resource().is_none())
            .collect();
        if !free.is_empty() {
            text += "## Functions\n\n";
            for function in free {
                self.function(&mut text, "###", &function.name, function)?;
            }
        }
        // What is used from another interface is explained there.
        let own = interface.types.iter().filter(|(_, id)| {
            !matches!(
                self.resolve.types[**id].kind,
                TypeDefKind::Type(wit_parser::Type::Id(_))
            )
        });
        let mut own = own.peekable();
        if own.peek().is_some() {
            text += "## Types\n\n";
        }
        for (name, id) in own {
            let definition = &self.resolve.types[*id];
            writeln!(text, "### `{name}`\n")?;
            self.definition(&mut text, definition)?;
            let methods = interface
                .functions
                .values()
                .filter(|function| function.kind.resource() == Some(*id));
            for function in methods {
                let method = format!("{name}.{}", function.item_name());
                self.function(&mut text, "####", &method, function)?;
            }
        }
        Ok(finished(&text))
    }

    fn function(
        &self,
        text: &mut String,
        level: &str,
        name: &str,
        function: &Function,
    ) -> Result<()> {
        let spelling = self.spelling();
        writeln!(text, "{level} `{name}`\n")?;
        *text += &paragraphs(&function.docs);
        // A method's first parameter is the resource itself.
        let own = usize::from(matches!(
            function.kind,
            wit_parser::FunctionKind::Method(_) | wit_parser::FunctionKind::AsyncMethod(_)
        ));
        let parameters = function.params.iter().skip(own);
        let mut rows: Vec<(String, String)> = parameters
            .map(|parameter| (format!("`{}`", parameter.name), spelling.of(&parameter.ty)))
            .collect();
        if let Some(result) = &function.result {
            rows.push(("returns".to_owned(), spelling.of(result)));
        }
        if !rows.is_empty() {
            *text += "| | |\n|---|---|\n";
            for (name, spelled) in rows {
                writeln!(text, "| {name} | {spelled} |")?;
            }
            text.push('\n');
        }
        Ok(())
    }

    fn definition(&self, text: &mut String, definition: &TypeDef) -> Result<()> {
        let spelling = self.spelling();
        let word = definition.kind.as_str();
        match &definition.kind {
            TypeDefKind::Record(record) => {
                writeln!(text, "A {word}. {}", lead(&definition.docs))?;
                *text += "| field | type | |\n|---|---|---|\n";
                for field in &record.fields {
                    let (name, docs) = (&field.name, cell(&field.docs));
                    writeln!(text, "| `{name}` | {} | {docs} |", spelling.of(&field.ty))?;
                }
            }
            TypeDefKind::Variant(variant) => {
                writeln!(text, "A {word}: one of these. {}", lead(&definition.docs))?;
                *text += "| case | of | |\n|---|---|---|\n";
                for case in &variant.cases {
                    let of = case
                        .ty
                        .as_ref()
                        .map(|ty| spelling.of(ty))
                        .unwrap_or_default();
                    writeln!(text, "| `{}` | {of} | {} |", case.name, cell(&case.docs))?;
                }
            }
            TypeDefKind::Enum(cases) => {
                writeln!(text, "An {word}: one of these. {}", lead(&definition.docs))?;
                *text += "| case | |\n|---|---|\n";
                for case in &cases.cases {
                    writeln!(text, "| `{}` | {} |", case.name, cell(&case.docs))?;
                }
            }
            TypeDefKind::Resource => {
                writeln!(text, "A {word}. {}", lead(&definition.docs))?;
                return Ok(());
            }
            kind => {
                let alias = spelling.of_kind(kind);
                writeln!(text, "Another name for {alias}. {}", lead(&definition.docs))?;
                return Ok(());
            }
        }
        text.push('\n');
        Ok(())
    }

    fn spelling(&self) -> Spelling<'_> {
        Spelling {
            resolve: self.resolve,
            page: self.interface,
        }
    }
}

/// Documentation as paragraphs of a page.
fn paragraphs(docs: &Docs) -> String {
    match &docs.contents {
        Some(text) => format!("{}\n\n", text.trim()),
        None => String::new(),
    }
}

/// Documentation that goes on after a sentence: the rest of that line, and what follows.
fn lead(docs: &Docs) -> String {
    let text = docs.contents.as_deref().unwrap_or_default().trim();
    format!("{text}\n")
}

/// Documentation as a table's cell.
fn cell(docs: &Docs) -> String {
    let text = docs.contents.as_deref().unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

fn first_sentence(docs: &Docs) -> String {
    let all = cell(docs);
    match all.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => all,
    }
}

fn finished(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests;
