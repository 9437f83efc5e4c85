//! Between us and PostgreSQL: loses an answer, or a question, when told to.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

/// What to lose next.
#[derive(Clone, Copy)]
pub enum Lose {
    /// What the client says next never arrives.
    Question = 1,
    /// What the database says next never arrives.
    Answer = 2,
}

/// A socket that leads to the database's.
pub struct Proxy {
    folder: PathBuf,
    lose: Arc<AtomicU8>,
}

impl Proxy {
    /// Listens in a folder of its own, for the PostgreSQL whose socket is in the folder that a URL names.
    pub fn start(url: &str) -> Self {
        let database = Path::new(&folder_in(url)).join(".s.PGSQL.5432");
        let folder = std::env::temp_dir().join(format!("p{}", &uuid::Uuid::new_v4().simple().to_string()[..8]));
        std::fs::create_dir(&folder).unwrap();
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
        let lose = Arc::new(AtomicU8::new(0));
        let losing = lose.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let database = UnixStream::connect(&database).await.unwrap();
                tokio::spawn(carry(client, database, losing.clone()));
            }
        });
        Self { folder, lose }
    }

    /// The same URL by way of this proxy.
    pub fn url(&self, url: &str) -> String {
        url.replace(&escaped(&folder_in(url)), &escaped(&self.folder.display().to_string()))
    }

    /// Loses something, and the connection with it.
    pub fn lose(&self, what: Lose) {
        self.lose.store(what as u8, SeqCst);
    }

    /// Whether that has happened.
    pub fn has_lost(&self) -> bool {
        self.lose.load(SeqCst) == 0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

async fn carry(mut client: UnixStream, mut database: UnixStream, lose: Arc<AtomicU8>) {
    let (mut question, mut answer) = ([0; 16_384], [0; 16_384]);
    loop {
        tokio::select! {
            read = client.read(&mut question) => {
                let read = read.unwrap_or(0);
                if read == 0 || has_come(&lose, Lose::Question) || database.write_all(&question[..read]).await.is_err() {
                    break;
                }
            }
            read = database.read(&mut answer) => {
                let read = read.unwrap_or(0);
                if read == 0 || has_come(&lose, Lose::Answer) || client.write_all(&answer[..read]).await.is_err() {
                    break;
                }
            }
        }
    }
}

fn has_come(lose: &AtomicU8, what: Lose) -> bool {
    lose.compare_exchange(what as u8, 0, SeqCst, SeqCst).is_ok()
}

fn folder_in(url: &str) -> String {
    let query = url.split_once("host=").unwrap().1;
    query.split('&').next().unwrap().replace("%2F", "/")
}

fn escaped(folder: &str) -> String {
    folder.replace('/', "%2F")
}
