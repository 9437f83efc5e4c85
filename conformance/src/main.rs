//! The part of `conformance/run` that wants more care than a shell has: which addresses to ask, and whether what came
//! back is what was written. It does no HTTP: `curl`, which others wrote, does.
//!
//! `vitals-conformance addresses BASE FILE…` prints a configuration for curl that reads every resource of the files.
//! `vitals-conformance compare READ FILE…` compares what curl printed, an answer a line in the order of the addresses.

use std::{fs, io, process::ExitCode};

use vitals_conformance::{LineError, compare, last_of_each, lines};

/// Differences that are printed of each run.
const SHOWN: usize = 10;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("usage: vitals-conformance addresses BASE FILE… | compare READ FILE…")]
    Usage,
    #[error("cannot read {0}: {1}")]
    File(String, #[source] io::Error),
    #[error("{0}: {1}")]
    Line(String, #[source] LineError),
    #[error("{read} answers for {written} resources")]
    Count { written: usize, read: usize },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["addresses", base, files @ ..] if !files.is_empty() => addresses(base, files).map(|()| true),
        ["compare", read, files @ ..] if !files.is_empty() => compare_all(read, files),
        _ => Err(Error::Usage),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vitals-conformance: {error}");
            ExitCode::from(2)
        }
    }
}

fn addresses(base: &str, files: &[&str]) -> Result<(), Error> {
    for text in read_all(files)? {
        for address in last_of_each(&lines(&text.1).map_err(|error| Error::Line(text.0.clone(), error))?).keys() {
            println!("url = \"{base}/{address}\"");
        }
    }
    Ok(())
}

/// True if everything came back.
fn compare_all(read: &str, files: &[&str]) -> Result<bool, Error> {
    let answers = file(read)?;
    let mut answers = answers.lines();
    let (mut resources, mut same, mut numbers, mut shown, mut missing) = (0, 0, 0, 0, 0);
    for (name, text) in read_all(files)? {
        let all = lines(&text).map_err(|error| Error::Line(name.clone(), error))?;
        for (address, written) in last_of_each(&all) {
            resources += 1;
            let Some(answer) = answers.next() else {
                missing += 1;
                continue;
            };
            let differences: Vec<String> = match compare(written, answer) {
                Ok(comparison) => {
                    numbers += comparison.numbers;
                    comparison.differences.iter().map(ToString::to_string).collect()
                }
                Err(_) => vec!["the answer is no JSON".to_owned()],
            };
            same += usize::from(differences.is_empty());
            for difference in differences {
                if shown < SHOWN {
                    eprintln!("{address}: {difference}");
                }
                shown += 1;
            }
        }
    }
    if missing > 0 {
        return Err(Error::Count { written: resources, read: resources - missing });
    }
    println!("{same} of {resources} read back the same, {numbers} numbers to the digit");
    Ok(same == resources)
}

/// Name and text of each file.
fn read_all(files: &[&str]) -> Result<Vec<(String, String)>, Error> {
    files.iter().map(|name| Ok(((*name).to_owned(), file(name)?))).collect()
}

fn file(name: &str) -> Result<String, Error> {
    fs::read_to_string(name).map_err(|error| Error::File(name.to_owned(), error))
}
