//! `rfc.md` names only tests that exist.

use std::{collections::BTreeSet, fs, path::Path};

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The tests of a file, as `area/module::test`: the functions with a test attribute.
fn tests(file: &str) -> BTreeSet<String> {
    let source = read(&format!("{file}.rs"));
    let mut marked = false;
    let mut found = BTreeSet::new();
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((head, rest)) = line.split_once("fn ") {
            if marked && (head.is_empty() || head == "async ") {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                found.insert(format!("{file}::{name}"));
            }
            marked = false;
        }
    }
    found
}

/// The names of tests in a cell: text in backticks that has `::`.
fn named(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).filter(|name| name.contains("::"))
}

#[test]
fn every_test_in_the_table_exists_and_every_demand_has_one() {
    let table = read("rfc.md");
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| --")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [section, demand, proof] = cells[..] else { panic!("not three cells: {row}") };
        if section == "§" {
            continue;
        }
        rows += 1;
        assert!(
            proof.starts_with("not ours: ") || named(proof).next().is_some(),
            "§{section}: no test shows that {demand}"
        );
        for name in named(proof) {
            let (file, _) = name.split_once("::").unwrap();
            assert!(tests(file).contains(name), "§{section}: there is no {name}");
        }
    }
    assert!(rows > 90, "{rows} rows");
}

#[test]
fn what_was_written_for_the_table_is_in_it() {
    let table = read("rfc.md");
    for name in tests("websocket/rfc6455").into_iter().chain(tests("websocket/rfc7692")) {
        assert!(table.contains(&format!("`{name}`")), "{name} is not in the table");
    }
}
