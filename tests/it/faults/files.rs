//! E30: no more files may be opened.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use vitals_tests::{poll, program::Outside, samples, tenant::client};

/// Most files that the server may have open: two dozen it needs for itself.
const FILES: u32 = 64;
/// Connections that want one each.
const CONNECTIONS: usize = 120;
/// How long it goes on: less than the server gives a connection that says nothing.
const LASTS: Duration = Duration::from_secs(6);
/// How long the service may take to come back by itself.
const BACK_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e30_a_server_without_file_descriptors_refuses_does_not_spin_and_recovers() {
    // given a server that may open few files
    let outside = Outside::fresh().await;
    let program = outside.program.clone().with("VITALS_PUBLIC_URL", "http://vitals.test");
    let name = outside.tenants(1).await.remove(0);
    let token = program.run(&["token", "--tenant", &name, "--scope", "system/*.cruds"]).await.expect(0);
    let token = token.stdout.trim().to_owned();
    let server = program.with_files(FILES).serve().await;
    let url = format!("{}/t/{name}/fhir/Patient/p1", server.url);
    let write = async || {
        let body = samples::patient("p1", "Family").to_string();
        let request = client().put(&url).bearer_auth(&token).header("content-type", "application/fhir+json").body(body);
        let sent = tokio::time::timeout(Duration::from_secs(2), request.send()).await;
        sent.ok().and_then(Result::ok).map(|answer| answer.status().as_u16())
    };
    assert_eq!(write().await, Some(201));

    // when connections take all of them
    let address = server.url.strip_prefix("http://").expect("plain http").to_owned();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        open.push(TcpStream::connect(&address).await.expect("the kernel takes it"));
    }
    let (began, busy) = (Instant::now(), server.process.busy());
    let mut answers = Vec::new();
    while began.elapsed() < LASTS {
        answers.push(write().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let busy = server.process.busy().saturating_sub(busy);
    println!("E30: {answers:?}, busy {busy:?} of {:?}", began.elapsed());
    // then who asks is told so, or not let in
    assert!(answers.iter().all(|status| matches!(status, None | Some(503 | 200))), "{answers:?}");
    assert!(answers.iter().any(|status| status.is_none() || *status == Some(503)), "there were files enough");
    // and the server does not run hot, nor fill its log
    assert!(busy < began.elapsed() / 2, "{busy:?} of {:?}", began.elapsed());
    let lines = server.process.stderr().lines().filter(|line| line.contains("accept")).count();
    assert!((1..=10).contains(&lines), "{lines} lines about it");

    // and when they are gone, it serves as before
    drop(open);
    poll::within(BACK_WITHIN, "it serves again", async || write().await == Some(200)).await;
    for _ in 0..20 {
        assert_eq!(write().await, Some(200));
    }
    server.stop().await.expect(0);
}
