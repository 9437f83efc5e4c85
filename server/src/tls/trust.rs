//! Keeps the authorities of client certificates current: the server's come from its files, the tenants' from the
//! directory. Nobody waits for it: who needs the authorities asks, and they are put together anew where one changed.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use vitals_access::{directory::Directory, proof::Anchor, tenant::TenantRole};
use vitals_store::control::poll::DirectoryFeed;

use super::{
    authorities::{Authorities, Bundle},
    files::Loaded,
};
use crate::config::ClientAuth;

/// The authorities of a running server.
pub struct Trust {
    feed: DirectoryFeed,
    server: ArcSwap<Server>,
    built: ArcSwap<Built>,
    building: Mutex<()>,
    changes: watch::Sender<u64>,
}

/// What the server's files say of clients.
#[derive(Default)]
struct Server {
    bundle: Option<Arc<Bundle>>,
    auth: ClientAuth,
}

/// Authorities, and what they were put together from.
struct Built {
    authorities: Arc<Authorities>,
    server: Arc<Server>,
    directory: Option<Arc<Directory>>,
    tenants: Vec<(TenantRole, String)>,
    registered: HashSet<[u8; 32]>,
}

impl Trust {
    /// Trusts whom the files name, where there are any, and whom the tenants do.
    pub fn of(feed: DirectoryFeed, files: Option<&Loaded>) -> Arc<Self> {
        let server = Arc::new(Server::of(files));
        let built = Built {
            authorities: put_together(&server, &[], HashSet::new()),
            server: Arc::clone(&server),
            directory: None,
            tenants: Vec::new(),
            registered: HashSet::new(),
        };
        Arc::new(Self {
            feed,
            server: ArcSwap::new(server),
            built: ArcSwap::from_pointee(built),
            building: Mutex::new(()),
            changes: watch::Sender::new(0),
        })
    }

    /// The authorities now. While the directory is out of date they are those of before: whoever asks for data is
    /// refused then anyhow.
    pub fn authorities(&self) -> Arc<Authorities> {
        let Ok(directory) = self.feed.current() else { return Arc::clone(&self.built.load().authorities) };
        if let Some(authorities) = self.unchanged(&directory) {
            return authorities;
        }
        let _one_at_a_time = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(authorities) = self.unchanged(&directory) {
            return authorities;
        }
        let (before, server) = (self.built.load_full(), self.server.load_full());
        let tenants = of_tenants(&directory);
        let registered: HashSet<[u8; 32]> = directory.registered_certificates().collect();
        let same = Arc::ptr_eq(&before.server, &server) && before.tenants == tenants && before.registered == registered;
        let authorities =
            if same { Arc::clone(&before.authorities) } else { put_together(&server, &tenants, registered.clone()) };
        let built =
            Built { authorities: Arc::clone(&authorities), server, directory: Some(directory), tenants, registered };
        self.built.store(Arc::new(built));
        if !same {
            self.changes.send_modify(|number| *number += 1);
        }
        authorities
    }

    /// Tells of every change of the authorities from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes in what the files say now.
    pub(super) fn reread(&self, files: &Loaded) {
        self.server.store(Arc::new(Server::of(Some(files))));
    }

    fn unchanged(&self, directory: &Arc<Directory>) -> Option<Arc<Authorities>> {
        let built = self.built.load();
        let seen = built.directory.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, directory));
        (seen && Arc::ptr_eq(&built.server, &self.server.load())).then(|| Arc::clone(&built.authorities))
    }
}

impl Server {
    fn of(files: Option<&Loaded>) -> Self {
        match files.and_then(Loaded::clients) {
            Some((bundle, auth)) => Self { bundle: Some(Arc::clone(bundle)), auth },
            // Tenants' authorities are for those who have them; nobody else needs one.
            None => Self { bundle: None, auth: ClientAuth::Optional },
        }
    }
}

fn of_tenants(directory: &Directory) -> Vec<(TenantRole, String)> {
    let authority = |tenant: &Arc<vitals_access::tenant::Tenant>| {
        tenant.settings.client_ca.as_ref().map(|pem| (tenant.role.clone(), pem.clone()))
    };
    let mut tenants: Vec<_> = directory.tenants().filter_map(authority).collect();
    tenants.sort();
    tenants
}

/// What a tenant gave that cannot be used vouches for nobody; that must not hold up the others.
fn put_together(server: &Server, tenants: &[(TenantRole, String)], registered: HashSet<[u8; 32]>) -> Arc<Authorities> {
    let own = server.bundle.iter().map(|bundle| (Anchor::Server, Arc::clone(bundle)));
    let mut owners: Vec<(Anchor, Arc<Bundle>)> = own.collect();
    for (role, pem) in tenants {
        let read = Bundle::read(pem.as_bytes()).and_then(|bundle| bundle.check().map(|()| bundle));
        match read {
            Ok(bundle) => owners.push((Anchor::Tenant(role.clone()), Arc::new(bundle))),
            Err(why) => tracing::warn!(tenant.role = %role, "a tenant's client authority {why}; it vouches for nobody"),
        }
    }
    let authorities = Authorities::of(owners, registered, server.auth);
    Arc::new(authorities.expect("each owner's authorities were put together alone before"))
}
