//! The files that the READMEs, the other pages and the crate docs name exist, and README walks a message through all
//! stations.

use std::{collections::BTreeSet, fs, path::Path, path::PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    let path = root().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in a folder of the repository, with this extension.
fn listed(folder: &str, extension: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(extension)).collect()
}

/// The pages and crate docs that name files.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = [
        "README.md",
        "CONTRIBUTING.md",
        "src/lib.rs",
        "wse-proto/README.md",
        "wse-proto/src/lib.rs",
        "wse-codecs/README.md",
        "wse-codecs/src/lib.rs",
        "wse-cluster/README.md",
        "wse-cluster/src/lib.rs",
        "wse-transport/README.md",
        "wse-transport/src/lib.rs",
    ]
    .map(str::to_owned)
    .into();
    pages.extend(listed("docs", ".md").into_iter().map(|name| format!("docs/{name}")));
    pages
}

/// The text of a page; of source code, only the docs of the crate.
fn prose(page: &str) -> String {
    let text = read(page);
    if page.ends_with(".md") {
        return text;
    }
    let docs = text.lines().map_while(|line| line.strip_prefix("//!"));
    docs.map(|line| format!("{line}\n")).collect()
}

/// The targets of links in Markdown that lead to files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':'))
}

/// The words in backticks or in drawings that are paths: those of a file, those that end with a slash, and those that begin
/// with a folder of this repository.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    const EXTENSIONS: [&str; 9] =
        [".rs", ".md", ".mjs", ".proto", ".py", ".stderr", ".svg", ".toml", ".txt"];
    let words = text.split(|c: char| c.is_whitespace() || "`(),:;|".contains(c));
    // Names that stand for many files.
    let words = words
        .filter(|word| !["lib.rs", "mod.rs", "main.rs"].contains(word) && !word.contains("TARGET"));
    words.filter(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        let Some((first, rest)) = word.split_once('/') else {
            let stem = EXTENSIONS.iter().find_map(|it| word.strip_suffix(it));
            return stem.is_some_and(|stem| !stem.is_empty() && stem.chars().all(plain));
        };
        let named = EXTENSIONS.iter().any(|it| rest.ends_with(it)) || rest.is_empty();
        let inside = !first.is_empty() && root().join(first).is_dir();
        word.chars().all(plain) && first.chars().all(plain) && (named || inside)
    })
}

/// Whether a path leads to something, seen from the page or from the root.
fn exists(page: &str, path: &str) -> bool {
    let folder = Path::new(page).parent().unwrap();
    let bases: [PathBuf; 2] = [root().join(folder), root().to_owned()];
    bases.iter().any(|base| base.join(path).exists())
}

#[test]
fn every_file_that_the_pages_name_exists() {
    let mut named = 0;
    let mut missing = Vec::new();
    for page in pages() {
        let text = prose(&page);
        let folder = root().join(&page).parent().unwrap().to_owned();
        for link in links(&text).filter(|_| page.ends_with(".md")) {
            named += 1;
            if !folder.join(link).exists() {
                missing.push(format!("{page}: the link {link}"));
            }
        }
        for path in paths(&text) {
            named += 1;
            if !exists(&page, path) {
                missing.push(format!("{page}: {path}"));
            }
        }
    }
    assert_eq!(missing, [""; 0]);
    assert!(named > 150, "only {named} paths were found");
}

#[test]
fn the_walk_has_every_station_in_order_and_each_names_its_files() {
    let readme = read("README.md");
    let walk = readme.split("## How a message travels").nth(1).expect("the walk is missing");
    let walk = walk.split("\n## ").next().unwrap();
    let rows: Vec<Vec<&str>> = walk
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .filter(|row: &Vec<&str>| !row[0].starts_with("--") && row[0] != "station")
        .collect();

    let stations: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(stations, ["bytes", "frame", "message", "envelope", "session", "handler"]);
    // What a reader looks for in the files of a station.
    let expected = [
        ["fn drive", "poll_read"],
        ["struct FrameHeader", "impl Decoder for Codec"],
        ["struct Engine", "struct Assembler"],
        ["fn unpack", "impl Protocol for JsonArray"],
        ["fn handle_message", "fn handle_ready"],
        ["struct Router", "impl<T: DeserializeOwned> Decode<T> for JsonFormat"],
    ];
    for (row, expected) in rows.iter().zip(expected) {
        let files: String = paths(&row.join(" ")).map(read).collect();
        for item in expected {
            assert!(files.contains(item), "the station {} has no file with `{item}`", row[0]);
        }
    }
}

#[test]
fn the_recording_is_what_the_quickstart_prints() {
    let recording = read("docs/quickstart.svg");
    let docs = prose("examples/quickstart.rs");
    let printed = docs.split("```").nth(1).unwrap().strip_prefix("text\n").unwrap();
    let drawn = recording.lines().filter_map(|line| {
        let (_, text) = line.strip_prefix("<text ")?.split_once('>')?;
        Some(text.strip_suffix("</text>")?.replace("&quot;", "\""))
    });
    // Sorted: two devices take turns as they like.
    let drawn: BTreeSet<String> = drawn.skip(1).collect();
    let printed = printed.lines().map(|line| line.trim().to_owned());
    let printed: BTreeSet<String> = printed.filter(|line| !line.is_empty()).collect();
    assert_eq!(drawn, printed, "run docs/terminal");
}

#[test]
fn the_lists_of_pages_and_examples_are_complete() {
    let index = read("docs/README.md");
    for page in listed("docs", ".md") {
        assert!(
            page == "README.md" || index.contains(&format!("({page})")),
            "{page} is not listed"
        );
    }
    let examples = read("docs/examples.md");
    for example in listed("examples", ".rs") {
        assert!(examples.contains(&format!("(../examples/{example})")), "{example} is not listed");
    }
    for peer in listed("examples/peers", ".rs") {
        let name = peer.trim_end_matches(".rs");
        assert!(examples.contains(&format!("`{name}`")), "{peer} is not listed");
    }
}
