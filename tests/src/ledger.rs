//! That each request left its one record in the audit trail: what a test asked through
//! [`Answer::of`](crate::Answer::of) is noted, and looked for in the trail of the server that answered.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use crate::{Answer, sql};

/// A request that was answered.
struct Asked {
    /// The public URL of the server.
    server: String,
    request_id: String,
    what: String,
    with_credentials: bool,
    status: u16,
}

thread_local! {
    // A test has a thread of its own, on which its own requests are asked.
    static ASKED: RefCell<Vec<Asked>> = const { RefCell::new(Vec::new()) };
}

/// Public URLs of servers, and where their trails are read.
static TRAILS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Makes the trail of a server known.
pub(crate) fn served(url: &str, trail: &str) {
    TRAILS.lock().expect("nobody panicked").insert(url.to_owned(), trail.to_owned());
}

/// Notes an answered request.
pub(crate) fn note(request: &reqwest::Request, answer: &Answer) {
    let asked = Asked {
        server: request.url().origin().ascii_serialization(),
        request_id: answer.header("x-request-id").to_owned(),
        what: format!("{} {}", request.method(), request.url()),
        with_credentials: request.headers().contains_key("authorization"),
        status: answer.status,
    };
    ASKED.with_borrow_mut(|all| all.push(asked));
}

/// Panics unless every request of this test so far left what it must: one record where credentials were shown or asked
/// for, none where a public document was read, and never two. Says how many requests it looked at.
pub async fn each_left_one_record() -> usize {
    let asked = ASKED.take();
    let count = asked.len();
    let mut by_server: HashMap<String, Vec<Asked>> = HashMap::new();
    for one in asked {
        by_server.entry(one.server.clone()).or_default().push(one);
    }
    for (server, asked) in by_server {
        // What is no server of ours (its operator listener, an issuer of the test's) leaves other records or none.
        let Some(trail) = TRAILS.lock().expect("nobody panicked").get(&server).cloned() else { continue };
        let ids: Vec<&str> = asked.iter().map(|one| one.request_id.as_str()).collect();
        let found = sql::run(
            &trail,
            &format!(
                "SELECT id, count(*) FROM (SELECT substring(record FROM '\"request_id\":\"([^\"]+)\"') AS id \
                 FROM audit.record) r WHERE id = ANY ('{{{}}}') GROUP BY id",
                ids.join(","),
            ),
        )
        .await;
        let found: HashMap<&str, usize> = found
            .lines()
            .filter_map(|line| line.split_once('|'))
            .map(|(id, count)| (id, count.parse().expect("a count")))
            .collect();
        for one in &asked {
            let records = found.get(one.request_id.as_str()).copied().unwrap_or_default();
            let right = match (one.with_credentials, one.status) {
                (true, _) | (false, 401) => records == 1,
                (false, ..=399) => records == 0,
                (false, _) => records <= 1,
            };
            assert!(right, "{records} records of {} ({})", one.what, one.status);
        }
    }
    count
}
