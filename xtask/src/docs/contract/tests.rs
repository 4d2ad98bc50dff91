use super::*;

const WIT: &str = r#"
/// A package.
package a:b@1.0.0;

/// Words. More of them.
interface words {
    /// One | two.
    record pair {
        /// The first
        /// of both.
        one: option<u8>,
        two: list<pair-name>,
    }
    type pair-name = string;
    enum colour { red }
    variant either { left(pair), right }
}

/// Things.
interface things {
    use words.{pair, colour};
    /// Makes one.
    make: func(name: string, like: option<pair>) -> result<thing, colour>;
    /// A thing.
    resource thing {
        /// Paints it.
        paint: func(colour: colour);
    }
}

/// A world.
world all { export things; }
"#;

fn pages_of(wit: &str) -> BTreeMap<String, String> {
    let folder = std::env::temp_dir().join(format!("copal-xtask-wit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("all.wit"), wit).unwrap();
    let pages = pages(&folder).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    pages
}

#[test]
fn every_item_stands_on_its_interfaces_page_with_links_to_what_it_is_made_of() {
    let pages = pages_of(WIT);
    assert_eq!(
        pages.keys().collect::<Vec<_>>(),
        ["index.md", "things.md", "words.md"]
    );
    for (page, line) in [
        (
            "index.md",
            "| [`things`](things.md) | a plugin exports it | Things. |",
        ),
        (
            "index.md",
            "| [`words`](words.md) | words that the others use | Words. |",
        ),
        ("words.md", "A record. One | two."),
        ("words.md", "| `one` | `option<u8>` | The first of both. |"),
        (
            "words.md",
            "| `two` | `list<`[`pair-name`](#pair-name)`>` |  |",
        ),
        ("words.md", "Another name for `string`."),
        ("words.md", "| `left` | [`pair`](#pair) |  |"),
        (
            "things.md",
            "| `like` | `option<`[`pair`](words.md#pair)`>` |",
        ),
        (
            "things.md",
            "| returns | `result<`[`thing`](#thing)`, `[`colour`](words.md#colour)`>` |",
        ),
        ("things.md", "#### `thing.paint`"),
        ("things.md", "| `colour` | [`colour`](words.md#colour) |"),
    ] {
        let text = &pages[page];
        assert!(
            text.lines().any(|there| there.trim_end() == line),
            "no line {line:?} in {page}:\n{text}"
        );
    }
    // What is only used is explained where it stands.
    assert!(!pages["things.md"].contains("### `pair`"));
}
