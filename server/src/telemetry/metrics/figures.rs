//! Figures that other parts of the server keep and the metrics page reads: each part hands over a function that takes
//! a snapshot, called once for each of its metrics when the page is asked for. The functions must not block. Where
//! there is no snapshot at that moment the page leaves the metric out rather than showing zero.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::Metrics;

/// The pool of tenant connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolFigures {
    /// Connections in use.
    pub used: u64,
    /// Connections at rest, still bound to their last tenant.
    pub idle: u64,
    /// Most connections there may be.
    pub max: u64,
    /// Requests that wait for a connection.
    pub waiting: u64,
    /// Checkouts that found a connection already bound to their tenant.
    pub hits: u64,
    /// Checkouts that had to bind one.
    pub rebinds: u64,
    /// Checkouts that opened one.
    pub opened: u64,
    /// Checkouts that gave up.
    pub timeouts: u64,
    /// Checkouts that were sent away because they would have waited in vain.
    pub shed: u64,
    /// Connections closed because their state was not known for sure.
    pub discarded: u64,
    /// Rows that carried another tenant's number. Anything but zero is an alarm.
    pub foreign_rows: u64,
}

/// Key sets fetched from issuers.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyFigures {
    /// Issuers whose keys are kept.
    pub issuers: u64,
    /// Fetches that brought a usable set.
    pub fetched: u64,
    /// Fetches that did not.
    pub failed: u64,
    /// Age of the oldest set in use, in seconds.
    pub oldest_seconds: u64,
}

/// The cache of verified tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheFigures {
    /// Tokens in it, about.
    pub entries: u64,
    /// Tokens that were found in it.
    pub hits: u64,
    /// Tokens that were not, good ones and bad ones.
    pub misses: u64,
}

/// Tenants by how their schema stands to this binary.
#[derive(Clone, Copy, Debug, Default)]
pub struct MigrationFigures {
    /// At the newest version.
    pub current: u64,
    /// One behind, and served.
    pub previous: u64,
    /// Not served: further behind, or ahead.
    pub unserved: u64,
}

/// The audit writer.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFigures {
    /// Records waiting for the next batch.
    pub queued: u64,
    /// Records written.
    pub written: u64,
    /// Batches they were written in.
    pub batches: u64,
    /// Attempts at the audit database that failed.
    pub failed: u64,
    /// Requests that were refused because their record could not be written.
    pub refused: u64,
    /// Records of writes that left their tenant's outbox.
    pub settled: u64,
    /// Records that were found in an outbox long after their write.
    pub recovered: u64,
    /// Times that the ends of chains were kept outside the database.
    pub heads: u64,
    /// Times that they could not be.
    pub heads_missed: u64,
}

/// Limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitFigures {
    /// Requests admitted where something is limited.
    pub admitted: u64,
    /// Requests over a limit of their tenant or client.
    pub limited: u64,
    /// Requests over the limit of their address.
    pub address_limited: u64,
    /// Decisions this server made alone although Redis is configured.
    pub alone: u64,
    /// Decisions that Redis made, and those it did not answer; none without Redis.
    pub shared: Option<(u64, u64)>,
    /// Whether Redis is away.
    pub away: bool,
}

/// Connections that did not end well.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionFigures {
    /// Closed because a head was no HTTP.
    pub malformed: u64,
    /// Closed because a head was too large.
    pub head_too_large: u64,
    /// Closed because a head did not come in time.
    pub head_too_slow: u64,
    /// Closed because the other side did not take the answer.
    pub stalled: u64,
    /// Broken off by the other side, or against the protocol.
    pub broken: u64,
    /// Closed because the two sides could not agree on TLS, or the client's certificate is no good.
    pub handshake_failed: u64,
    /// Closed because the handshake of TLS did not come to its end in time.
    pub handshake_too_slow: u64,
}

/// What a metric is, besides its figure.
struct About {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
}

impl Metrics {
    /// Shows the limits.
    pub fn observe_limits(&self, read: impl Fn() -> Option<LimitFigures> + Send + Sync + 'static) {
        let read = Arc::new(read);
        let about = About {
            name: "vitals.limit.decisions",
            unit: "{request}",
            description: "Requests where something is limited, by what was decided.",
        };
        self.counter(&about, &read, |f| {
            vec![
                (Some(("decision", "admitted")), f.admitted),
                (Some(("decision", "limited")), f.limited),
                (Some(("decision", "address_limited")), f.address_limited),
            ]
        });
        let about = About {
            name: "vitals.limit.alone",
            unit: "{request}",
            description: "Decisions made by this server alone although Redis is configured.",
        };
        self.counter(&about, &read, |f| vec![(None, f.alone)]);
        let about = About {
            name: "vitals.limit.redis.decisions",
            unit: "{request}",
            description: "Decisions asked of Redis, by whether it answered.",
        };
        self.counter(&about, &read, |f| {
            f.shared.map_or_else(Vec::new, |(decided, failed)| {
                vec![(Some(("answer", "decided")), decided), (Some(("answer", "none")), failed)]
            })
        });
        let about = About {
            name: "vitals.limit.redis.away",
            unit: "1",
            description: "Whether Redis is away: 1 is an alarm, tokens are not issued.",
        };
        self.gauge(&about, &read, |f| f.shared.map_or_else(Vec::new, |_| vec![(None, u64::from(f.away))]));
    }

    /// Shows the tenant pool.
    pub fn observe_pool(&self, read: impl Fn() -> Option<PoolFigures> + Send + Sync + 'static) {
        let read = Arc::new(read);
        let about = About {
            name: "db.client.connection.count",
            unit: "{connection}",
            description: "Connections of the tenant pool, by state.",
        };
        self.gauge(&about, &read, |f| vec![(Some(("state", "used")), f.used), (Some(("state", "idle")), f.idle)]);
        let about = About {
            name: "db.client.connection.max",
            unit: "{connection}",
            description: "Most connections of the tenant pool.",
        };
        self.gauge(&about, &read, |f| vec![(None, f.max)]);
        let about = About {
            name: "db.client.connection.pending_requests",
            unit: "{request}",
            description: "Requests that wait for a connection of the tenant pool.",
        };
        self.gauge(&about, &read, |f| vec![(None, f.waiting)]);
        let about = About {
            name: "vitals.pool.checkouts",
            unit: "{checkout}",
            description: "Checkouts by how the connection was found.",
        };
        self.counter(&about, &read, |f| {
            vec![
                (Some(("result", "bound")), f.hits),
                (Some(("result", "rebound")), f.rebinds),
                (Some(("result", "opened")), f.opened),
                (Some(("result", "timeout")), f.timeouts),
                (Some(("result", "shed")), f.shed),
            ]
        });
        let about = About {
            name: "vitals.pool.discarded",
            unit: "{connection}",
            description: "Connections closed because their state was not known for sure.",
        };
        self.counter(&about, &read, |f| vec![(None, f.discarded)]);
        let about = About {
            name: "vitals.pool.foreign_rows",
            unit: "{row}",
            description: "Rows refused because they carried another tenant's number.",
        };
        self.counter(&about, &read, |f| vec![(None, f.foreign_rows)]);
    }

    /// Shows the key sets of issuers.
    pub fn observe_keys(&self, read: impl Fn() -> Option<KeyFigures> + Send + Sync + 'static) {
        let read = Arc::new(read);
        let about =
            About { name: "vitals.jwks.issuers", unit: "{issuer}", description: "Issuers whose keys are kept." };
        self.gauge(&about, &read, |f| vec![(None, f.issuers)]);
        let about = About { name: "vitals.jwks.fetches", unit: "{fetch}", description: "Fetches of key sets." };
        self.counter(&about, &read, |f| {
            vec![(Some(("result", "ok")), f.fetched), (Some(("result", "failed")), f.failed)]
        });
        let about = About { name: "vitals.jwks.oldest", unit: "s", description: "Age of the oldest key set in use." };
        self.gauge(&about, &read, |f| vec![(None, f.oldest_seconds)]);
    }

    /// Shows the cache of verified tokens.
    pub fn observe_token_cache(&self, read: impl Fn() -> Option<CacheFigures> + Send + Sync + 'static) {
        let read = Arc::new(read);
        let about =
            About { name: "vitals.token_cache.entries", unit: "{token}", description: "Verified tokens in the cache." };
        self.gauge(&about, &read, |f| vec![(None, f.entries)]);
        let about = About {
            name: "vitals.token_cache.lookups",
            unit: "{token}",
            description: "Tokens shown, by whether they were in the cache.",
        };
        self.counter(&about, &read, |f| vec![(Some(("result", "hit")), f.hits), (Some(("result", "miss")), f.misses)]);
    }

    /// Shows the connections that did not end well.
    pub fn observe_connections(&self, read: impl Fn() -> Option<ConnectionFigures> + Send + Sync + 'static) {
        let about = About {
            name: "vitals.connection.failures",
            unit: "{connection}",
            description: "Connections that did not end well, by why.",
        };
        self.counter(&about, &Arc::new(read), |f| {
            vec![
                (Some(("reason", "malformed")), f.malformed),
                (Some(("reason", "head too large")), f.head_too_large),
                (Some(("reason", "head too slow")), f.head_too_slow),
                (Some(("reason", "stalled")), f.stalled),
                (Some(("reason", "broken")), f.broken),
                (Some(("reason", "handshake failed")), f.handshake_failed),
                (Some(("reason", "handshake too slow")), f.handshake_too_slow),
            ]
        });
    }

    /// Shows how many tenants stand at which version.
    pub fn observe_migrations(&self, read: impl Fn() -> Option<MigrationFigures> + Send + Sync + 'static) {
        let about = About {
            name: "vitals.migration.tenants",
            unit: "{tenant}",
            description: "Tenants by how their schema stands to this binary.",
        };
        self.gauge(&about, &Arc::new(read), |f| {
            vec![
                (Some(("state", "current")), f.current),
                (Some(("state", "previous")), f.previous),
                (Some(("state", "unserved")), f.unserved),
            ]
        });
    }

    /// Shows the audit writer.
    pub fn observe_audit(&self, read: impl Fn() -> Option<AuditFigures> + Send + Sync + 'static) {
        let read = Arc::new(read);
        let about =
            About { name: "vitals.audit.queue", unit: "{record}", description: "Records waiting for the next batch." };
        self.gauge(&about, &read, |f| vec![(None, f.queued)]);
        let about = About { name: "vitals.audit.records", unit: "{record}", description: "Records written." };
        self.counter(&about, &read, |f| vec![(None, f.written)]);
        let about =
            About { name: "vitals.audit.batches", unit: "{batch}", description: "Batches records were written in." };
        self.counter(&about, &read, |f| vec![(None, f.batches)]);
        let about = About {
            name: "vitals.audit.failures",
            unit: "{attempt}",
            description: "Attempts at the audit database that failed.",
        };
        self.counter(&about, &read, |f| vec![(None, f.failed)]);
        let about = About {
            name: "vitals.audit.refused",
            unit: "{request}",
            description: "Requests refused because their record could not be written.",
        };
        self.counter(&about, &read, |f| vec![(None, f.refused)]);
        let about = About {
            name: "vitals.audit.settled",
            unit: "{record}",
            description: "Records that left their tenant's outbox.",
        };
        self.counter(&about, &read, |f| vec![(None, f.settled)]);
        let about = About {
            name: "vitals.audit.recovered",
            unit: "{record}",
            description: "Records found in an outbox long after their write.",
        };
        self.counter(&about, &read, |f| vec![(None, f.recovered)]);
        let about = About {
            name: "vitals.audit.heads",
            unit: "{round}",
            description: "Times that the ends of chains were kept outside the database.",
        };
        self.counter(&about, &read, |f| vec![(None, f.heads)]);
        let about = About {
            name: "vitals.audit.heads_missed",
            unit: "{round}",
            description: "Times that the ends of chains could not be kept outside the database.",
        };
        self.counter(&about, &read, |f| vec![(None, f.heads_missed)]);
    }

    fn gauge<F: 'static>(
        &self,
        about: &About,
        read: &Arc<impl Fn() -> Option<F> + Send + Sync + 'static>,
        figures: impl Fn(F) -> Vec<(Option<(&'static str, &'static str)>, u64)> + Send + Sync + 'static,
    ) {
        let read = Arc::clone(read);
        self.meter()
            .u64_observable_gauge(about.name)
            .with_unit(about.unit)
            .with_description(about.description)
            .with_callback(move |observer| {
                for (label, figure) in read().map(&figures).unwrap_or_default() {
                    observer.observe(figure, label.map(pair).as_slice());
                }
            })
            .build();
    }

    fn counter<F: 'static>(
        &self,
        about: &About,
        read: &Arc<impl Fn() -> Option<F> + Send + Sync + 'static>,
        figures: impl Fn(F) -> Vec<(Option<(&'static str, &'static str)>, u64)> + Send + Sync + 'static,
    ) {
        let read = Arc::clone(read);
        self.meter()
            .u64_observable_counter(about.name)
            .with_unit(about.unit)
            .with_description(about.description)
            .with_callback(move |observer| {
                for (label, figure) in read().map(&figures).unwrap_or_default() {
                    observer.observe(figure, label.map(pair).as_slice());
                }
            })
            .build();
    }
}

fn pair((name, value): (&'static str, &'static str)) -> KeyValue {
    KeyValue::new(name, value)
}
