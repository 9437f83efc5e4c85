//! Files and tenants' authorities that change while a server runs.

use std::time::Duration;

use rcgen::date_time_ymd;
use serde_json::json;
use vitals_server::config::ClientAuth;
use vitals_tests::{
    Answer, Tenant, cluster, ledger,
    pki::{Authority, Folder, Holder},
    poll, secure,
};

use super::{BOTH, World, serving_on};

/// What a server shows of itself.
async fn shown(world: &World) -> Vec<u8> {
    let stream = secure::handshake(world.server.address, world.servers.config(None, &BOTH)).await.expect("a handshake");
    stream.get_ref().1.peer_certificates().expect("a certificate")[0].to_vec()
}

#[tokio::test]
async fn a_new_certificate_serves_and_a_broken_one_changes_nothing() {
    let world = World::with(ClientAuth::Optional, |_| None).await;
    let before = shown(&world).await;
    let new = world.servers.server();

    // A certificate whose key comes later.
    world.folder.write("server.pem", &new.pem());
    let looked = Duration::from_millis(1_500);
    poll::stays(looked, "certificate and key of two pairs are not taken", async || shown(&world).await == before).await;
    world.folder.write("server.key", &new.key_pem());
    poll::until("the new certificate serves", async || shown(&world).await == new.chain[0].as_ref()).await;

    world.folder.write("server.pem", "nothing");
    let same = async || shown(&world).await == new.chain[0].as_ref();
    poll::stays(looked, "no certificate at all is not taken", same).await;
}

/// A connection that is open when its certificate is revoked ends, and the certificate opens no other.
#[tokio::test]
async fn a_certificate_that_is_revoked_ends_its_connections() {
    let world = World::with(ClientAuth::Required, |clients| Some(clients.revoking(&[]))).await;
    let (bad, good) = (world.clients.client("bad"), world.clients.client("good"));
    let open = |holder: &Holder| secure::kept(world.server.address, world.servers.config(Some(holder), &BOTH));
    let (mut of_bad, mut of_good) = (open(&bad).await, open(&good).await);
    assert!(of_bad.ask().await && of_good.ask().await, "both are served");

    world.folder.write("clients.crl", &world.clients.revoking(&[&bad]));

    assert!(of_bad.closes().await, "the connection of the revoked one ends");
    assert!(of_good.ask().await, "that of another goes on");
    assert!(world.ask(Some(&bad), BOTH[0]).await.is_err(), "H08 revoked while the server runs");
    assert_eq!(world.ask(Some(&good), BOTH[0]).await, Ok(200));
}

/// A certificate that signs itself is taken where a client registered exactly this one, as long as it is valid, and
/// nobody vouches for it.
#[tokio::test]
async fn a_self_signed_certificate_is_taken_where_a_client_registered_it() {
    let (folder, servers) = (Folder::default(), Authority::named("Servers"));
    let server = serving_on(cluster::alone().await, &folder.server(&servers.server())).await;
    let tenant = Tenant::on(server).await;
    server.app.feed.refresh().await.expect("the directory is read");
    let registered = Holder::of_itself("registered");
    let old = Holder::of_itself_with("registered too", |params| params.not_after = date_time_ymd(2021, 1, 1));
    for holder in [&registered, &old] {
        let (role, thumbprint) = (tenant.role(), holder.thumbprint());
        let change = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(7311, 1); \
             INSERT INTO control.certificate (tenant, client, thumbprint) VALUES ('{role}', 'app', '{thumbprint}'); \
             INSERT INTO control.change (tenant, kind, subject, at) \
             VALUES ('{role}', 'tenant', 'certificate', statement_timestamp()); COMMIT"
        );
        server.cluster.sql(&change).await;
    }
    server.app.feed.refresh().await.expect("the directory is read");
    let ask = |holder: &Holder| secure::ask(server, servers.config(Some(holder), &BOTH));
    assert_eq!(ask(&registered).await, Ok(200));
    for (label, holder) in [
        ("H08 self-signed, of the same name", Holder::of_itself("registered")),
        ("H08 self-signed, registered and expired", old),
        ("H08 self-signed, without its key", registered.clone().with_the_key_of(&Holder::of_itself("x"))),
    ] {
        assert!(ask(&holder).await.is_err(), "{label}");
    }
    tenant.set(&json!({ "require_certificate": true })).await;
    let request = servers.http(Some(&registered)).get(format!("{}/Patient", tenant.base())).bearer_auth(tenant.all());
    let answer = Answer::of(request).await.expect(401);
    let record = tenant.record_of(answer.header("x-request-id")).await;
    assert_eq!(record["certificate"], registered.thumbprint(), "shown, and vouched for by nobody");
    ledger::each_left_one_record().await;
}

/// One tenant's authority opens the door for its clients, and they are nobody at another tenant.
#[tokio::test]
async fn a_tenant_has_an_authority_of_its_own() {
    let (folder, servers) = (Folder::default(), Authority::named("Servers"));
    let server = serving_on(cluster::alone().await, &folder.server(&servers.server())).await;
    let (here, there) = (Tenant::on(server).await, Tenant::on(server).await);
    let (own, from_elsewhere) = (Authority::named("Here"), Authority::named("There"));
    let holder = own.client("a client of here");
    let ask = |holder: &Holder| secure::ask(server, servers.config(Some(holder), &BOTH));

    // Nobody is asked for a certificate before a tenant has an authority; what is not asked for is not shown.
    assert_eq!(ask(&Holder::of_itself("x")).await, Ok(200));
    here.set(&json!({ "client_ca": own.pem() })).await;
    assert_eq!(ask(&holder).await, Ok(200));
    assert_eq!(secure::ask(server, servers.config(None, &BOTH)).await, Ok(200), "and nobody needs one");
    for (label, holder) in [
        ("H08 wrong CA", from_elsewhere.client("x")),
        ("H08 wrong CA of the same name", Authority::named("Here").client("x")),
        ("H08 self-signed", Holder::of_itself("x")),
    ] {
        assert!(ask(&holder).await.is_err(), "{label}");
    }
    there.set(&json!({ "client_ca": from_elsewhere.pem() })).await;
    assert_eq!(ask(&from_elsewhere.client("x")).await, Ok(200));

    let request = servers.http(Some(&holder)).get(format!("{}/Patient", here.base())).bearer_auth(here.all());
    let record = here.record_of(Answer::of(request).await.expect(200).header("x-request-id")).await;
    assert_eq!(record["certificate"], holder.thumbprint());

    // What cannot be used vouches for nobody, and takes nothing from the others.
    there.set(&json!({ "client_ca": "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n" })).await;
    assert!(ask(&from_elsewhere.client("x")).await.is_err(), "H08 of an authority that is gone");
    let mut kept = secure::kept(server.address, servers.config(Some(&holder), &BOTH)).await;
    assert!(kept.ask().await);

    // With a list of its own among them.
    here.set(&json!({ "client_ca": format!("{}{}", own.pem(), own.revoking(&[&holder])) })).await;
    assert!(kept.closes().await, "its connection ends");
    assert!(ask(&holder).await.is_err(), "H08 revoked by the tenant");
    assert_eq!(ask(&own.client("another")).await, Ok(200));
    ledger::each_left_one_record().await;
}
