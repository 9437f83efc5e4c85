//! Whether the time an answer takes tells what its text does not: attacks T23 (a tenant that exists against one that
//! does not) and P42 (a resource out of reach against one that never was). Beside each pair stands the difference
//! between two samples of the very same request, which is what this machine's noise makes of no difference at all.

use std::time::Instant;

use crate::{
    connection::{Connection, request},
    program::{Folder, Program, Serving},
    table::{Limit, Samples, Table},
};

/// Requests of each kind.
const REQUESTS: u32 = 2_000;
/// Asks for the same; it exists as little as the other one.
const OTHER: &str = "timing-b";
const OWN: &str = "timing-a";

/// Runs it.
pub async fn run(program: &Program, folder: &Folder, server: &Serving, table: &mut Table) {
    for tenant in [OWN, OTHER] {
        program.run(folder, &["tenant", "create", tenant]);
    }
    let (_, writer) = program.run(folder, &["token", "--tenant", OWN, "--scope", "system/*.cruds"]);
    let (_, reader) =
        program.run(folder, &["token", "--tenant", OWN, "--scope", "patient/*.cruds", "--patient", "patient-1"]);
    let (writer, reader) = (format!("Bearer {writer}"), format!("Bearer {reader}"));
    let base = format!("/t/{OWN}/fhir");
    let mut connection = Connection::open(server.public).await;
    let body = "{\"resourceType\":\"Patient\",\"id\":\"patient-2\",\"name\":[{\"family\":\"Bench\"}]}";
    let put = connection.exchange(&request("PUT", &format!("{base}/Patient/patient-2"), &writer, Some(body))).await;
    assert_eq!(put.0, 201, "the patient is made");

    let get = |path: String| request("GET", &path, &reader, None);
    let change =
        |id: &str| request("PUT", &format!("{base}/Patient/{id}"), &reader, Some(&body.replace("patient-2", id)));
    // Refused for its content once the condition was looked up, so that nothing comes of two thousand of them.
    let unless = |id: &str| {
        let create = request("POST", &format!("{base}/Patient"), &reader, Some(body));
        let text = String::from_utf8(create).expect("text");
        text.replacen("\r\n", &format!("\r\nif-none-exist: _id={id}\r\n"), 1).into_bytes()
    };
    let pairs = [
        (
            "T23 tenant",
            get(format!("/t/{OTHER}/fhir/Patient/patient-2")),
            get("/t/timing-z/fhir/Patient/patient-2".to_owned()),
        ),
        ("P42 read of another's", get(format!("{base}/Patient/patient-2")), get(format!("{base}/Patient/patient-9"))),
        (
            "P42 search for another's",
            get(format!("{base}/Observation?patient=patient-2")),
            get(format!("{base}/Observation?patient=patient-9")),
        ),
        ("P42 update of another's", change("patient-2"), change("patient-9")),
        ("P42 create unless another's exists", unless("patient-2"), unless("patient-9")),
    ];
    for (what, one, other) in &pairs {
        let [there, nowhere] = medians(&mut connection, one, other).await;
        let [once, again] = medians(&mut connection, one, one).await;
        table.row(&format!("{what}: it is"), there, "ms", &Limit::None);
        table.row(&format!("{what}: it is not"), nowhere, "ms", &Limit::None);
        table.row("difference", percent(there, nowhere), "%", &Limit::Asked(5.0));
        table.row("(difference of the same request twice)", percent(once, again), "%", &Limit::None);
    }
}

/// How far two figures are apart, in percent of the first.
fn percent(one: f64, other: f64) -> f64 {
    100.0 * (other - one).abs() / one
}

/// The medians of two requests in milliseconds; asked in turn, so that what else happens on
/// the machine happens to both.
async fn medians(connection: &mut Connection, one: &[u8], other: &[u8]) -> [f64; 2] {
    let mut samples = [Samples::default(), Samples::default()];
    let mut statuses = [0, 0];
    for round in 0..REQUESTS {
        // Each is first as often as second.
        for place in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let began = Instant::now();
            statuses[place] = connection.exchange([one, other][place]).await.0;
            samples[place].add(began.elapsed());
        }
    }
    assert_eq!(statuses[0], statuses[1], "the two are answered alike");
    samples.map(|samples| samples.median())
}
