//! The layer order and the file sizes of the workspace, read from the sources themselves.
//!
//! A file's layer is its crate or its module of the server; it may use layers above it in `LAYERS` and its own. Uses
//! are found by their text (`crate::<module>`, `vitals_<crate>`), comments aside, which no alias gets around
//! because glob re-exports and `super::super` are refused.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Each layer with what it is; layers on one line do not see each other.
const LAYERS: [&[&str]; 10] = [
    &["vitals_fhir"],
    &["vitals_fhir_profiles", "vitals_fhir_codec", "vitals_access"],
    &["vitals_store"],
    &["clock", "failure"],
    &["config", "telemetry", "egress", "limit", "audit"],
    &["interaction", "operation", "job", "authorization", "tls"],
    &["state"],
    &["listen", "rest", "admin", "oauth"],
    &["openapi", "public"],
    &["app", "cli"],
];

/// Pairs on one line that may see each other all the same.
const NEIGHBOURS: [(&str, &str); 12] = [
    ("config", "limit"),
    ("config", "egress"),
    ("telemetry", "config"),
    ("egress", "telemetry"),
    ("job", "interaction"),
    ("operation", "interaction"),
    ("audit", "egress"),
    ("audit", "config"),
    ("admin", "rest"),
    ("oauth", "rest"),
    ("rest", "listen"),
    ("cli", "app"),
];

/// Libraries that one crate alone may name, and that crate's folder.
const WALLS: [(&str, &str); 3] =
    [("sqlx", "server/store/"), ("fhirbolt", "server/fhir-codec/"), ("fhirbolt_shared", "server/fhir-codec/")];

#[test]
fn layers_point_one_way_and_files_stay_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' crate is a folder of the workspace");
    let mut files = Vec::new();
    for folder in ["server", "fhir-profiles", "conformance", "tests"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 50, "only {} sources found under {}", files.len(), root.display());

    let mut faults = Vec::new();
    for file in &files {
        let path = file.strip_prefix(root).expect("found below the root").to_string_lossy().replace('\\', "/");
        // This file spells out what it refuses.
        if path != "tests/it/layers.rs" {
            check(&path, &fs::read_to_string(file).expect("a source is readable text"), &mut faults);
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn faults_are_seen() {
    let cases = [
        ("server/src/rest/x.rs", "use crate::openapi::document;"),
        ("server/src/rest/x.rs", "fn f() { crate::app::start() }"),
        ("server/src/interaction/x.rs", "use crate::rest::respond;"),
        ("server/src/interaction/x.rs", "use crate::{failure::Failure, rest::respond};"),
        ("server/src/interaction/x.rs", "use crate::{\n    failure::{A, b::C},\n    cli,\n};"),
        ("server/fhir/src/x.rs", "use vitals_access::access::Access;"),
        ("server/access/src/x.rs", "use vitals_fhir_codec as codec;"),
        ("server/src/rest/x.rs", "fn f(pool: sqlx::PgPool) {}"),
        ("server/src/rest/x.rs", "use fhirbolt::json;"),
        ("server/src/rest/x.rs", "use super::super::app;"),
        ("server/src/rest.rs", "use super::app::App;"),
        ("server/src/helper.rs", "fn f() {}"),
        ("server/fhir/src/lib.rs", "pub use search::*;"),
        ("server/fhir/src/lib.rs", &"// a line\n".repeat(501)),
        ("tests/it/x.rs", &"// a line\n".repeat(801)),
    ];
    for (path, text) in cases {
        let mut faults = Vec::new();
        check(path, text, &mut faults);
        assert_eq!(faults.len(), 1, "{path}: {text:.60} {faults:?}");
    }
    let mut faults = Vec::new();
    check(
        "server/src/rest/x.rs",
        "use crate::{failure::Failure, interaction};\n// crate::app, sqlx::query",
        &mut faults,
    );
    check("server/access/src/x.rs", "use crate::audit; use vitals_fhir::interaction;", &mut faults);
    check("server/src/openapi/x.rs", "use crate::rest::metadata;\nuse super::*; // in tests", &mut faults);
    assert_eq!(faults, Vec::<String>::new());
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a source folder is readable");
    for path in entries.map(|entry| entry.expect("a folder's entry is readable").path()) {
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn check(path: &str, text: &str, faults: &mut Vec<String>) {
    let is_test = path.starts_with("tests/") || path.contains("/tests");
    let limit = if is_test { 800 } else { 500 };
    let lines = text.lines().count();
    if lines > limit {
        faults.push(format!("{path}: {lines} lines, of {limit}"));
    }
    let code: String = text.lines().filter_map(|line| line.split("//").next()).collect::<Vec<_>>().join("\n");
    if code.contains("super::super") {
        faults.push(format!("{path}: super::super"));
    }
    if code.lines().any(|line| line.trim_start().starts_with("pub") && line.contains("use ") && line.contains("::*")) {
        faults.push(format!("{path}: a glob re-export"));
    }
    for (library, home) in WALLS {
        // In quotes it is the name of a log target or a span.
        let paths: String = code.lines().flat_map(|line| line.split('"').step_by(2).chain(["\n"])).collect();
        let named = words(&paths).any(|(word, after)| word == library && after.starts_with("::"));
        if named && !path.starts_with(home) {
            faults.push(format!("{path}: names {library}, which only {home} may"));
        }
    }
    // A module's own tests may set up whatever they need.
    let Some(own) = layer_of(path).filter(|_| !is_test) else { return };
    let Some(own_depth) = depth(own) else {
        faults.push(format!("{path}: {own} is no known layer"));
        return;
    };
    // What stands for the root of the server's crate; `super` does in the files right below it.
    let roots: &[&str] = match path.strip_prefix("server/src/") {
        Some(inside) if inside.contains('/') => &["crate"],
        Some(_) => &["crate", "super"],
        None => &[],
    };
    for used in uses(&code, roots) {
        let below = depth(&used).is_none_or(|used_depth| used_depth < own_depth);
        if !below && used != own && !NEIGHBOURS.contains(&(own, used.as_str())) {
            faults.push(format!("{path}: {own} uses {used}"));
        }
    }
}

fn depth(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|line| line.contains(&layer))
}

/// The layer a file belongs to; the server's `lib.rs`, `main.rs` and the tests belong to none.
fn layer_of(path: &str) -> Option<&str> {
    if let Some(inside) = path.strip_prefix("server/src/") {
        return inside.split(['/', '.']).next().filter(|layer| !matches!(*layer, "lib" | "main"));
    }
    [
        ("server/fhir-codec/", "vitals_fhir_codec"),
        ("server/fhir/", "vitals_fhir"),
        ("server/access/", "vitals_access"),
        ("server/store/", "vitals_store"),
        ("fhir-profiles/", "vitals_fhir_profiles"),
    ]
    .into_iter()
    .find_map(|(folder, layer)| path.starts_with(folder).then_some(layer))
}

/// Every identifier with the text behind it.
fn words(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    code.split(move |character| !is_word(character)).filter(|word| !word.is_empty()).map(move |word| {
        let end = word.as_ptr() as usize - code.as_ptr() as usize + word.len();
        (word, &code[end..])
    })
}

/// The crates of ours that a text names, and in the server the modules.
fn uses(code: &str, roots: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (word, after) in words(code) {
        if word.starts_with("vitals_") {
            found.push(word.to_owned());
        } else if let Some(inside) = after.strip_prefix("::").filter(|_| roots.contains(&word)) {
            match inside.strip_prefix('{') {
                Some(list) => found.extend(heads(list)),
                None => found.extend(words(inside).next().map(|(word, _)| word.to_owned())),
            }
        }
    }
    found
}

/// The first word of each item of a `{…}` list whose brace was just read.
fn heads(list: &str) -> Vec<String> {
    let (mut depth, mut item, mut heads) = (0, String::new(), Vec::new());
    for character in list.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(std::mem::take(&mut item)),
            other if depth == 0 => item.push(other),
            _ => {}
        }
    }
    heads.push(item);
    heads.iter().filter_map(|item| words(item).next().map(|(word, _)| word.to_owned())).collect()
}
