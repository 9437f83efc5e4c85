//! Looks at the files of TLS every second, and reads them again when one changed.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    Tls,
    files::{Loaded, marks},
};

/// How often: a new certificate serves, and a revoked one is refused, before anybody looks whether it does.
const EVERY: Duration = Duration::from_secs(1);

/// Looks until nobody speaks TLS any more.
pub(super) async fn watch(tls: Weak<Tls>) {
    let mut seen = None;
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(tls) = tls.upgrade() else { return };
        let loaded = tls.loaded.load_full();
        let before = seen.take().unwrap_or_else(|| loaded.marks().to_vec());
        // A file system that hangs holds up this task alone.
        let looked = tokio::task::spawn_blocking(move || {
            let now = marks(loaded.files());
            let read = (before != now).then(|| Loaded::read(loaded.files()));
            (now, read)
        });
        if let Ok((now, read)) = looked.await {
            seen = Some(now);
            match read {
                Some(Ok(loaded)) => tls.reload(loaded),
                Some(Err(error)) => {
                    tracing::error!(%error, "the TLS files changed and cannot be used; what was read before stays");
                }
                None => {}
            }
        }
        // A tenant's authority that changed is noticed here for connections that are open.
        tls.authorities();
    }
}

impl Tls {
    fn reload(self: &Arc<Self>, loaded: Loaded) {
        tracing::info!("the TLS files were read again");
        if let Some(warning) = loaded.warning(self.clock.now()) {
            tracing::warn!("{warning}");
        }
        if let Some(trust) = &self.trust {
            trust.reread(&loaded);
        }
        self.loaded.store(Arc::new(loaded));
        self.authorities();
    }
}
