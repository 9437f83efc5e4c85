//! The migrations are embedded by a macro that only notices changed files, not new ones.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
