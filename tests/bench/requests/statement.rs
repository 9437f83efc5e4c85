//! The statements that the server really sends, taken from PostgreSQL's own log, as scripts of pgbench. Nothing is
//! copied by hand, so that a changed statement is held against itself.

use std::path::{Path, PathBuf};

use crate::postgres::{As, Postgres};

/// The longest value that a program's argument may be on Linux (`MAX_ARG_STRLEN`), less its name.
const LONGEST: usize = 128 * 1024 - 64;

/// A statement, and the values that were bound to it.
#[derive(Debug)]
pub struct Sent {
    text: String,
    bound: Vec<Option<String>>,
}

/// What pgbench runs.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Its text.
    pub text: String,
    /// Its variables.
    pub variables: Vec<(String, String)>,
}

/// PostgreSQL's log, with every statement and its values in it.
pub struct Log<'p> {
    postgres: &'p Postgres,
    file: PathBuf,
    read: usize,
}

impl<'p> Log<'p> {
    /// Has sessions that begin from now on write down what they are asked.
    pub fn open(postgres: &'p Postgres, folder: &Path) -> Self {
        for (name, value) in [("log_statement", "'all'"), ("log_error_verbosity", "'default'")] {
            postgres.psql(&As::Admin, &database(&format!("SET {name} = {value}")));
        }
        Self { postgres, file: folder.join("postgres.log"), read: 0 }
    }

    /// Forgets what stands there so far.
    pub fn skip(&mut self) {
        self.read = std::fs::read(&self.file).map_or(0, |text| text.len());
    }

    /// The statements since, of those that write or read this tenant's resources.
    pub fn sent(&self) -> Vec<Sent> {
        let text = std::fs::read(&self.file).expect("the log can be read");
        let text = String::from_utf8_lossy(&text[self.read..]);
        let mut sent: Vec<Sent> = Vec::new();
        let mut entries = text.split('\n').peekable();
        let mut wanted = false;
        while let Some(line) = entries.next() {
            let mut entry = line.to_owned();
            while let Some(more) = entries.next_if(|line| line.starts_with('\t')) {
                entry.push('\n');
                entry.push_str(&more[1..]);
            }
            if let Some((_, rest)) = entry.split_once("LOG:  execute ") {
                let (_, text) = rest.split_once(": ").expect("the statement's name");
                wanted = (text.contains(" observation") || text.contains("INTO audit_outbox"))
                    && !text.starts_with("DELETE");
                if wanted {
                    sent.push(Sent { text: text.to_owned(), bound: Vec::new() });
                }
            } else if let Some((_, rest)) = entry.split_once("DETAIL:  parameters: ")
                && wanted
                && let Some(last) = sent.last_mut()
            {
                last.bound = bound(rest);
                wanted = false;
            }
        }
        sent
    }

    /// Has sessions that begin from now on write nothing down again.
    pub fn close(self) {
        for name in ["log_statement", "log_error_verbosity"] {
            self.postgres.psql(&As::Admin, &database(&format!("RESET {name}")));
        }
    }
}

/// A change to the database that psql is connected to.
fn database(change: &str) -> String {
    let change = change.replace('\'', "''");
    format!("SELECT format('ALTER DATABASE %I {change}', current_database())\\gexec\n")
}

/// `$1 = 'a', $2 = NULL`, with quotes doubled inside.
fn bound(text: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = text;
    while let Some((_, value)) = rest.split_once(" = ") {
        let Some(quoted) = value.strip_prefix('\'') else {
            values.push(None);
            rest = value.strip_prefix("NULL").unwrap_or(value);
            continue;
        };
        let mut end = 0;
        loop {
            end += quoted[end..].find('\'').expect("a value ends");
            if !quoted[end + 1..].starts_with('\'') {
                break;
            }
            end += 2;
        }
        values.push(Some(quoted[..end].replace("''", "'")));
        rest = &quoted[end + 1..];
    }
    values
}

impl Script {
    /// The statements as a script. `own` says what stands for a bound value that changes from run to run; all others
    /// are bound as they were.
    pub fn of(sent: &[Sent], own: impl Fn(&str) -> Option<String>) -> Self {
        let mut script = Self::default();
        for Sent { text, bound } in sent {
            let mut rest = text.as_str();
            while let Some((before, behind)) = rest.split_once('$') {
                let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
                script.text.push_str(before);
                let number: usize = behind[..digits].parse().expect("a place of a value");
                match &bound[number - 1] {
                    None => script.text.push_str("NULL"),
                    Some(value) => match own(value) {
                        Some(expression) => script.text.push_str(&expression),
                        None => script.bind(value),
                    },
                }
                rest = &behind[digits..];
            }
            script.text.push_str(rest);
            script.text.push_str(";\n");
        }
        script
    }

    /// The same, with lines before and behind.
    pub fn within(mut self, before: &str, behind: &str) -> Self {
        self.text = format!("{before}{}{behind}", self.text);
        self
    }

    fn bind(&mut self, value: &str) {
        assert!(value.len() <= LONGEST, "a value of {} bytes can be an argument", value.len());
        let name = format!("value{}", self.variables.len() + 1);
        self.text.push(':');
        self.text.push_str(&name);
        self.variables.push((name, value.to_owned()));
    }
}
