//! Lists `data/profiles/*.tsv`, so that adding a profile is adding a file.

use std::{env, fmt::Write, fs, io, path::PathBuf};

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script its folders through the environment")]
fn main() -> io::Result<()> {
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("data/profiles");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("profiles.rs");
    println!("cargo::rerun-if-changed={}", own.display());
    let entries = fs::read_dir(&own)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<_> =
        entries.into_iter().filter(|path| path.extension().is_some_and(|end| end == "tsv")).collect();
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let path = file.to_string_lossy();
        writeln!(text, "    ({name:?}, include_str!({path:?})),").map_err(io::Error::other)?;
    }
    text.push_str("]\n");
    fs::write(out, text)
}
