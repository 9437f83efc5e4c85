//! The part of `conformance/run` that wants more care than a shell has: which addresses to ask, and whether what came
//! back is what was written. It does no HTTP: `curl`, which others wrote, does.
//!
//! `vitals-conformance addresses BASE FILE…` prints a configuration for curl that reads every resource of the files.
//! `vitals-conformance compare READ ERRORS FILE…` compares what curl printed, an answer a line in the order of the
//! addresses; ERRORS is what the import refused, which has to be just the examples that break a rule themselves.

use std::{fs, io, process::ExitCode};

use vitals_conformance::{EXCEPTIONS, LineError, compare, exceptions, judge, last_of_each, lines, refusals};

/// Differences that are printed of each run.
const SHOWN: usize = 10;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("usage: vitals-conformance addresses BASE FILE… | compare READ ERRORS FILE…")]
    Usage,
    #[error("cannot read {0}: {1}")]
    File(String, #[source] io::Error),
    #[error("{0}: {1}")]
    Line(String, #[source] LineError),
    #[error("{0} is no list of refused lines: {1}")]
    Refusals(String, #[source] serde_json::Error),
    #[error("{read} answers for {written} resources")]
    Count { written: usize, read: usize },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["addresses", base, files @ ..] if !files.is_empty() => addresses(base, files).map(|()| true),
        ["compare", read, errors, files @ ..] if !files.is_empty() => compare_all(read, errors, files),
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

/// True if everything came back but for what had to be refused, and that was.
fn compare_all(read: &str, errors: &str, files: &[&str]) -> Result<bool, Error> {
    let (exceptions, answers) = (exceptions(EXCEPTIONS), file(read)?);
    let refusals = refusals(&file(errors)?).map_err(|error| Error::Refusals(errors.to_owned(), error))?;
    let mut refused = Vec::new();
    let mut answers = answers.lines();
    let (mut resources, mut same, mut numbers, mut shown, mut missing, mut faults) = (0, 0, 0, 0, 0, 0);
    for (name, text) in read_all(files)? {
        let all = lines(&text).map_err(|error| Error::Line(name.clone(), error))?;
        let judged = judge(&name, &all, &refusals, &exceptions);
        faults += judged.faults.len();
        for fault in judged.faults {
            eprintln!("{fault}");
        }
        for (address, written) in last_of_each(&all) {
            resources += 1;
            let Some(answer) = answers.next() else {
                missing += 1;
                continue;
            };
            if let Some(why) = judged.refused.get(&address) {
                let nothing = is_outcome(answer);
                faults += usize::from(!nothing);
                if !nothing {
                    eprintln!("{address}: it was refused, and is there");
                }
                refused.push(format!("{address} ({why})"));
                continue;
            }
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
    print!("{same} of {resources} read back the same, {numbers} numbers to the digit");
    if !refused.is_empty() {
        print!("; refused as it has to be: {}", refused.join(", "));
    }
    println!();
    Ok(same + refused.len() == resources && faults == 0)
}

/// Whether an answer is an OperationOutcome, as for what is not there.
fn is_outcome(answer: &str) -> bool {
    let answer: Result<serde_json::Value, _> = serde_json::from_str(answer);
    answer.is_ok_and(|answer| answer["resourceType"] == "OperationOutcome")
}

/// Name and text of each file.
fn read_all(files: &[&str]) -> Result<Vec<(String, String)>, Error> {
    files.iter().map(|name| Ok(((*name).to_owned(), file(name)?))).collect()
}

fn file(name: &str) -> Result<String, Error> {
    fs::read_to_string(name).map_err(|error| Error::File(name.to_owned(), error))
}
