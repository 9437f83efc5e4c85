//! H06: HTTP/2 as no client speaks it, against a served program of this test's own, so that what it costs can be seen.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vitals_tests::{
    Bystander,
    http2::{self, Kind, frame},
    program::Outside,
};

/// Most pieces of an attack that are sent: it ends before.
const PIECES: usize = 200_000;
/// How long the server may let one go on.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// A window that stays shut is no flood: the client is asked for a sign of life, and has twice twenty seconds.
const SHUT_WITHIN: Duration = Duration::from_secs(50);
/// What an attack may cost of a core, though none of it is optimised here: half of what it could take until it is closed.
const BUSY: Duration = Duration::from_secs(5);
/// How long a good client may wait on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is sent first, and what again and again; the number is that of the piece.
struct Attack {
    label: &'static str,
    begin: Vec<u8>,
    piece: Box<dyn Fn(usize) -> Vec<u8> + Send>,
    /// After each piece, so that what it asks for is taken up.
    pause: Option<Duration>,
}

/// The number of the stream that a client opens at this place.
fn stream(place: usize) -> u32 {
    u32::try_from(2 * place + 1).expect("few")
}

fn attacks(path: &str, token: &str) -> Vec<Attack> {
    const END: u8 = 0x1;
    const HEADERS_END: u8 = 0x4;
    let get = http2::head("GET", path, token);
    let post = http2::head("POST", path, token);
    let plain = |label, begin: Vec<u8>, piece: Vec<u8>| Attack {
        label,
        begin,
        piece: Box::new(move |_| piece.clone()),
        pause: None,
    };
    let opened = frame(Kind::Headers, HEADERS_END, 1, &post);
    let (get_twice, get_fifty, get_open, post_open) = (get.clone(), get.clone(), get.clone(), post.clone());
    vec![
        Attack {
            label: "H06 rapid reset",
            begin: Vec::new(),
            piece: Box::new(move |place| {
                let open = frame(Kind::Headers, HEADERS_END | END, stream(place), &get_twice);
                [open, frame(Kind::Reset, 0, stream(place), &8_u32.to_be_bytes())].concat()
            }),
            pause: None,
        },
        Attack {
            label: "H06 rapid reset of what was taken up",
            begin: Vec::new(),
            piece: Box::new(move |place| {
                // Fifty are opened; those of the round before are given up.
                let streams = |round: usize| (50 * round..50 * (round + 1)).map(stream);
                let given_up = place.checked_sub(1).into_iter().flat_map(streams);
                let given_up = given_up.map(|stream| frame(Kind::Reset, 0, stream, &8_u32.to_be_bytes()));
                let open = streams(place).map(|stream| frame(Kind::Headers, HEADERS_END | END, stream, &get_fifty));
                given_up.chain(open).collect::<Vec<_>>().concat()
            }),
            pause: Some(Duration::from_millis(3)),
        },
        Attack {
            label: "H06 ten thousand streams",
            begin: Vec::new(),
            piece: Box::new(move |place| frame(Kind::Headers, HEADERS_END, stream(place), &post_open)),
            pause: None,
        },
        plain(
            "H06 CONTINUATION without end",
            frame(Kind::Headers, 0, 1, &get),
            frame(Kind::Continuation, 0, 1, &http2::field("x", &"y".repeat(4_000))),
        ),
        plain(
            "H06 small CONTINUATION without end",
            frame(Kind::Headers, 0, 1, &get),
            frame(Kind::Continuation, 0, 1, &http2::field("x", "y")),
        ),
        plain(
            "H06 empty CONTINUATION without end",
            frame(Kind::Headers, 0, 1, &get),
            frame(Kind::Continuation, 0, 1, &[]),
        ),
        plain("H06 a flood of SETTINGS", Vec::new(), frame(Kind::Settings, 0, 0, &[])),
        plain(
            "H06 a flood of SETTINGS that change",
            Vec::new(),
            frame(Kind::Settings, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]),
        ),
        plain("H06 a flood of PING", Vec::new(), frame(Kind::Ping, 0, 0, &[7; 8])),
        plain("H06 a flood of answers to PING", Vec::new(), frame(Kind::Ping, 1, 0, &[7; 8])),
        plain("H06 a flood of PRIORITY", Vec::new(), frame(Kind::Priority, 0, 1, &[0, 0, 0, 3, 9])),
        plain("H06 a flood of WINDOW_UPDATE", opened.clone(), frame(Kind::WindowUpdate, 0, 1, &[0, 0, 0, 1])),
        plain("H06 a flood of empty DATA", opened.clone(), frame(Kind::Data, 0, 1, &[])),
        plain(
            "H06 a flood of DATA that is all padding",
            opened,
            frame(Kind::Data, 0x8, 1, &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ),
        plain("H06 a flood of frames of no kind", Vec::new(), frame(Kind::Unknown, 0, 0, &[])),
        plain("H06 a window beyond its bounds", Vec::new(), frame(Kind::WindowUpdate, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        plain("H06 a frame of sixteen megabytes", Vec::new(), vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]),
        plain("H06 a head that is no HPACK", Vec::new(), frame(Kind::Headers, HEADERS_END, 1, &[0xff; 64])),
        plain(
            "H06 a head that grows by what it refers to",
            Vec::new(),
            frame(
                Kind::Headers,
                HEADERS_END,
                1,
                &[http2::indexed("x", &"y".repeat(3_900)), vec![0xbe; 12_000]].concat(),
            ),
        ),
        Attack {
            label: "H06 streams that count down",
            begin: frame(Kind::Headers, HEADERS_END | END, 1_001, &get),
            piece: Box::new(move |place| {
                frame(
                    Kind::Headers,
                    HEADERS_END | END,
                    999_u32.saturating_sub(2 * u32::try_from(place).unwrap_or(0)),
                    &get_open,
                )
            }),
            pause: None,
        },
    ]
}

/// Carries an attack out until the connection is closed: after how many pieces, if it was.
async fn carry_out(address: String, attack: Attack) -> Option<usize> {
    let connection = TcpStream::connect(address).await.expect("the server accepts connections");
    let (mut reader, mut writer) = connection.into_split();
    let reading = tokio::spawn(async move {
        let mut sink = vec![0; 64 * 1024];
        while let Ok(1..) = reader.read(&mut sink).await {}
    });
    let sending = async move {
        let begin = [http2::PREFACE.to_vec(), frame(Kind::Settings, 0, 0, &[]), attack.begin].concat();
        if writer.write_all(&begin).await.is_err() {
            return 0;
        }
        for place in 0..PIECES {
            if writer.write_all(&(attack.piece)(place)).await.is_err() {
                return place;
            }
            if let Some(pause) = attack.pause {
                tokio::time::sleep(pause).await;
            }
        }
        std::future::pending().await
    };
    let within = async {
        // Whichever is seen first: the end of what is read, or that nothing is taken any more.
        tokio::select! {
            sent = sending => sent,
            ended = reading => ended.map(|()| 0).expect("it does not panic"),
        }
    };
    tokio::time::timeout(CLOSED_WITHIN, within).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_end_their_connection_cost_little_and_nobody_else_waits() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(2).await;
    let program = outside.program.clone().with("VITALS_PUBLIC_URL", "http://vitals.test");
    let mut tokens = Vec::new();
    for name in &names {
        let ran = program.run(&["token", "--tenant", name, "--scope", "system/*.cruds"]).await.expect(0);
        tokens.push(ran.stdout.trim().to_owned());
    }
    let server = program.serve().await;
    let address = server.url.strip_prefix("http://").expect("plain http").to_owned();
    let bystander = Bystander::at(format!("{}/t/{}/fhir", server.url, names[1]), tokens[1].clone());
    let path = format!("/t/{}/fhir/Patient?family=x", names[0]);

    // One that takes no answer at all, beside the floods.
    let shut = tokio::spawn(shut(address.clone(), http2::head("GET", &path, &tokens[0])));
    for attack in attacks(&path, &tokens[0]) {
        let (label, began, busy) = (attack.label, Instant::now(), server.process.busy());
        let closed = carry_out(address.clone(), attack).await;
        let (took, busy) = (began.elapsed(), server.process.busy().saturating_sub(busy));
        println!("{label}: closed after {closed:?} pieces and {took:?}, busy {busy:?}");
        assert!(closed.is_some(), "{label}: still open after {took:?}");
        assert!(busy < BUSY, "{label}: busy {busy:?}");
    }
    let shut = shut.await.expect("it ends");
    println!("H06 a window that stays shut: closed after {shut:?}");
    assert!(shut.is_some_and(|after| after < SHUT_WITHIN), "H06 a window that stays shut: {shut:?}");
    let watched = bystander.ends().await;
    println!("H06: {} requests of somebody else's, the slowest {:?}", watched.served, watched.slowest);
    watched.undisturbed(PATIENCE, "H06");
    server.stop().await.expect(0);
}

/// Asks a hundred times under a window of nothing, and says nothing more: after how long it is closed.
async fn shut(address: String, get: Vec<u8>) -> Option<Duration> {
    let mut connection = TcpStream::connect(address).await.expect("the server accepts connections");
    let mut bytes = [http2::PREFACE.to_vec(), frame(Kind::Settings, 0, 0, &[0, 4, 0, 0, 0, 0])].concat();
    for place in 0..100 {
        bytes.extend(frame(Kind::Headers, 0x5, stream(place), &get));
    }
    connection.write_all(&bytes).await.expect("it is sent");
    let (began, mut sink) = (Instant::now(), Vec::new());
    let closed = tokio::time::timeout(SHUT_WITHIN, connection.read_to_end(&mut sink)).await;
    closed.ok().map(|_| began.elapsed())
}
