//! HTTP/2 by hand: frames (RFC 9113, section 4.1) and heads (RFC 7541), as no library would send them.

/// What a connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A kind of frame.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Part of a body.
    Data = 0,
    /// A head, or its beginning.
    Headers = 1,
    /// Nothing that matters any more.
    Priority = 2,
    /// A stream is given up.
    Reset = 3,
    /// How a connection is to be used.
    Settings = 4,
    /// A sign of life.
    Ping = 6,
    /// More may be sent.
    WindowUpdate = 8,
    /// The rest of a head.
    Continuation = 9,
    /// None that anybody knows: to be passed over.
    Unknown = 0x7f,
}

/// A frame.
pub fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind as u8, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of a request with a token.
pub fn head(method: &str, path: &str, token: &str) -> Vec<u8> {
    let method = match method {
        "GET" => 0x82,
        "POST" => 0x83,
        other => panic!("no {other} in the static table"),
    };
    let mut head = vec![method, 0x86, 0x04];
    text(&mut head, path);
    head.push(0x01);
    text(&mut head, "vitals.test");
    head.extend(field("content-type", "application/fhir+json"));
    head.extend(field("authorization", &format!("Bearer {token}")));
    head
}

/// A field that is not kept.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    written(0x00, name, value)
}

/// A field that is kept in the table of the connection, as its first.
pub fn indexed(name: &str, value: &str) -> Vec<u8> {
    written(0x40, name, value)
}

fn written(how: u8, name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![how];
    text(&mut field, name);
    text(&mut field, value);
    field
}

/// A text without compression, its length before it (RFC 7541, sections 5.1 and 5.2).
fn text(head: &mut Vec<u8>, text: &str) {
    let length = text.len();
    if length < 127 {
        head.push(u8::try_from(length).expect("short"));
    } else {
        head.push(127);
        let mut rest = length - 127;
        while rest >= 128 {
            head.push(u8::try_from(rest % 128 + 128).expect("a byte"));
            rest /= 128;
        }
        head.push(u8::try_from(rest).expect("a byte"));
    }
    head.extend_from_slice(text.as_bytes());
}
