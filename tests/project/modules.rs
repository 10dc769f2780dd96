//! The files of `tests/` are modules of few programs. The compiler does not report a file that no `mod` names, so a
//! test here does.

use std::{ffi::OsStr, fs, path::Path};

/// The modules in a folder that its map, a `main.rs` or `mod.rs`, does not declare. Looks into nested folders too.
fn undeclared(folder: &Path, map: &str) -> Vec<String> {
    let declared = fs::read_to_string(folder.join(map)).unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name() == Some(OsStr::new(map)) {
            continue;
        }
        let nested = path.join("mod.rs").is_file();
        if nested {
            found.extend(undeclared(&path, "mod.rs"));
        }
        let declaration = format!("mod {};", path.file_stem().unwrap().display());
        let is_module = nested || path.extension() == Some(OsStr::new("rs"));
        if is_module && !declared.lines().any(|line| line == declaration) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn every_file_is_a_module_of_one_of_at_most_ten_programs() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut programs = 0;
    for entry in fs::read_dir(tests).unwrap() {
        let path = entry.unwrap().path();
        assert_ne!(path.extension(), Some(OsStr::new("rs")), "{} is a program", path.display());
        if path.join("main.rs").is_file() {
            programs += 1;
            assert_eq!(undeclared(&path, "main.rs"), [""; 0]);
        }
    }
    assert!((1..=10).contains(&programs), "{programs} programs");
}
