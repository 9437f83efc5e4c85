//! Heads told to a syslog, on another machine at best: RFC 5424, over UDP (RFC 5426), TCP with octets counted
//! (RFC 6587, section 3.4.1), or the socket of this machine.

use std::{io, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, UdpSocket, UnixDatagram},
    time::timeout,
};

use crate::config::SyslogAddress;

/// For all lines of one time.
const WITHIN: Duration = Duration::from_secs(5);
/// Facility 13 (log audit), severity 5 (notice): RFC 5424, section 6.2.1.
const PRIORITY: u8 = 13 * 8 + 5;

/// Sends the lines, in order. That they arrived, only TCP makes likely.
pub(super) async fn send(address: &SyslogAddress, lines: &[String], now: DateTime<Utc>) -> io::Result<()> {
    let messages: Vec<String> = lines.iter().map(|line| message(line, now)).collect();
    timeout(WITHIN, deliver(address, &messages)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn deliver(address: &SyslogAddress, messages: &[String]) -> io::Result<()> {
    match address {
        SyslogAddress::Udp(peer) => {
            let target = tokio::net::lookup_host(peer).await?.next().ok_or(io::ErrorKind::NotFound)?;
            let own = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(own).await?;
            socket.connect(target).await?;
            for message in messages {
                socket.send(message.as_bytes()).await?;
            }
        }
        SyslogAddress::Tcp(peer) => {
            let mut stream = TcpStream::connect(peer).await?;
            for message in messages {
                stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
            }
            stream.shutdown().await?;
        }
        SyslogAddress::Socket(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            for message in messages {
                socket.send(message.as_bytes()).await?;
            }
        }
    }
    Ok(())
}

fn message(line: &str, now: DateTime<Utc>) -> String {
    let time = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // At most 255 printable characters of ASCII (RFC 5424, section 6.2.4), or the sign for nothing.
    let host: String = host.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    format!("<{PRIORITY}>1 {time} {host} vitals {} audit-head - {line}", std::process::id())
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn every_line_is_a_message_of_its_own_whichever_way_it_goes() {
        let now = DateTime::from_timestamp_millis(1_800_000_000_123).unwrap();
        let lines = [r#"{"sequence":1}"#.to_owned(), r#"{"sequence":2}"#.to_owned()];
        let is_good = |message: &str, number: usize| {
            assert!(message.starts_with("<109>1 2027-01-15T08:00:00.123Z "), "{message}");
            assert!(message.ends_with(&format!(r#" audit-head - {{"sequence":{number}}}"#)), "{message}");
        };

        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        send(&SyslogAddress::Udp(udp.local_addr().unwrap().to_string()), &lines, now).await.unwrap();
        let mut buffer = [0; 1_024];
        for number in [1, 2] {
            let length = udp.recv(&mut buffer).await.unwrap();
            is_good(std::str::from_utf8(&buffer[..length]).unwrap(), number);
        }

        let path = std::env::temp_dir().join(format!("vitals-syslog-{}", uuid::Uuid::new_v4()));
        let local = UnixDatagram::bind(&path).unwrap();
        send(&SyslogAddress::Socket(path.clone()), &lines, now).await.unwrap();
        for number in [1, 2] {
            let length = local.recv(&mut buffer).await.unwrap();
            is_good(std::str::from_utf8(&buffer[..length]).unwrap(), number);
        }
        std::fs::remove_file(&path).unwrap();

        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = SyslogAddress::Tcp(tcp.local_addr().unwrap().to_string());
        let (sent, taken) = tokio::join!(send(&address, &lines, now), tcp.accept());
        sent.unwrap();
        let mut text = String::new();
        taken.unwrap().0.read_to_string(&mut text).await.unwrap();
        let (length, rest) = text.split_once(' ').unwrap();
        let (first, second) = rest.split_at(length.parse().unwrap());
        is_good(first, 1);
        is_good(second.split_once(' ').unwrap().1, 2);

        // A syslog that is away is said to be.
        drop(tcp);
        assert!(send(&address, &lines, now).await.is_err());
    }
}
