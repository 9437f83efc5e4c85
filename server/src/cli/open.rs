//! The databases a command works on: the embedded PostgreSQL, started for as long as the command needs it or joined
//! where a server runs it, or the operator's own.

use std::{path::PathBuf, sync::Arc};

use vitals_access::clock::Clock;
use vitals_store::{
    control,
    embedded::Embedded,
    migrate,
    seal::MasterKey,
    setup, urls,
    urls::{ConnectError, Urls},
};

use super::CommandError;
use crate::{
    audit::heads::{self, HeadsOptions},
    clock::SystemClock,
    config::{Database, MasterKeySource, Secret, Settings},
};

/// What a command needs of the databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A role that may change roles and schemas.
    Admin,
    /// Only the login role that serves.
    Serving,
}

/// The databases, open for one command.
pub struct Opened<'s> {
    /// How to reach them.
    pub urls: Urls,
    /// The time.
    pub clock: Arc<dyn Clock>,
    embedded: Option<Embedded>,
    settings: &'s Settings,
}

/// A connection as the administering role; what it is made of stays in the store.
pub type Connection = vitals_store::Connection;

impl<'s> Opened<'s> {
    /// What the command was told.
    pub fn settings(&self) -> &'s Settings {
        self.settings
    }

    /// Opens the databases; the embedded one is prepared when it is new or made by an older program.
    pub async fn of(settings: &'s Settings, needs: Needs) -> Result<Self, CommandError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        match &settings.database {
            Database::Embedded => {
                let embedded =
                    Embedded::start(&settings.data_dir, &mut |sentence| eprintln!("vitals: {sentence}")).await?;
                let urls = embedded.urls();
                let opened = Self { urls, clock, embedded: Some(embedded), settings };
                opened.prepare_if_needed().await?;
                Ok(opened)
            }
            Database::Outside(app) => {
                let admin = settings.admin_database_url.as_ref().map(Secret::expose);
                let audit = settings.audit_database_url.as_ref().map(Secret::expose);
                let urls = Urls::outside(app.expose(), admin, audit)?;
                if needs == Needs::Admin {
                    urls.admin()?;
                }
                Ok(Self { urls, clock, embedded: None, settings })
            }
        }
    }

    /// Whether the database is ours.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    async fn prepare_if_needed(&self) -> Result<(), CommandError> {
        // A database that is new refuses these connections; anything else that is wrong shows again in `prepare`.
        let audit_url = self.urls.audit_admin()?;
        if let (Ok(mut admin), Ok(mut audit)) = tokio::join!(self.admin(), urls::connect(&audit_url))
            && migrate::shared_are_current(&mut admin, &mut audit).await.unwrap_or(false)
            && migrate::trail_is_ahead(&mut audit, self.clock.now()).await.unwrap_or(false)
        {
            return Ok(());
        }
        self.prepare().await.map(drop)
    }

    /// Makes roles, databases and schemas; safe to repeat.
    pub async fn prepare(&self) -> Result<setup::Report, CommandError> {
        let report = setup::cluster(&self.urls).await?;
        let now = self.clock.now();
        let mut admin = self.admin().await?;
        migrate::control(&mut admin, now).await?;
        let mut audit = urls::connect(&self.urls.audit_admin()?).await?;
        migrate::audit(&mut audit, now).await?;
        control::privileges::apply(&mut admin, &self.urls.login_names()?).await?;
        control::roles::replenish(&mut admin, now).await?;
        Ok(report)
    }

    /// A connection as the administering role, in the database of the tenants.
    pub async fn admin(&self) -> Result<Connection, CommandError> {
        Ok(urls::connect(&self.urls.app_admin()?).await?)
    }

    /// A connection as the login role that serves.
    pub async fn serving(&self) -> Result<Connection, ConnectError> {
        urls::connect(&self.urls.app).await
    }

    /// The key that secrets at rest are sealed under.
    pub fn master_key(&self) -> Result<MasterKey, CommandError> {
        Ok(match &self.settings.master_key {
            MasterKeySource::DataDirectory => MasterKey::load_or_create(&self.master_key_file())?,
            MasterKeySource::File(path) => MasterKey::load(path)?,
            MasterKeySource::Environment(text) => MasterKey::parse(text.expose())?,
        })
    }

    /// Where the ends of the audit chains are kept, signed under this key.
    pub fn heads(&self, master_key: &MasterKey) -> HeadsOptions {
        HeadsOptions {
            folder: self.settings.audit_heads.clone(),
            syslog: self.settings.audit_heads_syslog.clone(),
            witness: heads::witness(master_key),
            every: heads::EVERY,
        }
    }

    /// The same for a command, which keeps heads only where it has the master key anyway: it makes none for this.
    pub fn heads_if_keyed(&self) -> Option<HeadsOptions> {
        self.master_key_if_there().map(|master_key| self.heads(&master_key))
    }

    /// The master key, where there is one already.
    pub fn master_key_if_there(&self) -> Option<MasterKey> {
        let is_made = self.settings.master_key != MasterKeySource::DataDirectory || self.master_key_file().exists();
        if is_made { self.master_key().ok() } else { None }
    }

    fn master_key_file(&self) -> PathBuf {
        self.settings.data_dir.join("secrets").join("master.key")
    }

    /// The URL that tokens name: the one given, else that of a running server, else that of the address to listen on.
    pub async fn public_url(&self) -> Result<String, CommandError> {
        if let Some(url) = &self.settings.public_url {
            return Ok(url.as_str().to_owned());
        }
        if let Ok(mut connection) = self.serving().await
            && let Some(server) = control::servers::running(&mut connection, self.clock.now()).await?.first()
        {
            return Ok(server.public_url.clone());
        }
        Ok(self.settings.own_url(self.settings.listen).as_str().to_owned())
    }

    /// Takes the embedded database with it, for a server that stops it itself.
    pub fn into_embedded(self) -> Option<Embedded> {
        self.embedded
    }

    /// Leaves the embedded database; the last one out stops it.
    pub async fn close(self) -> Result<(), CommandError> {
        if let Some(embedded) = self.embedded {
            embedded.stop().await?;
        }
        Ok(())
    }
}
