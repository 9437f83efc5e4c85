//! The argument tree as a table of lines that are accepted and refused.

use clap::{CommandFactory, Parser};

use super::args::{Command, Invocation, IssuerCommand, TenantCommand};

fn parse(line: &str) -> Result<Invocation, clap::Error> {
    Invocation::try_parse_from(std::iter::once("vitals").chain(line.split_whitespace()))
}

#[test]
fn argument_tree_is_sound() {
    Invocation::command().debug_assert();
}

#[test]
fn lines_of_the_contract_are_accepted_and_wrong_ones_are_usage_errors() {
    let accepted = [
        "demo",
        "serve --listen 127.0.0.1:0 --log pretty",
        "--data-dir /var/lib/vitals serve",
        "setup --admin-database-url postgres://a@b/c",
        "tenant create mercy",
        "tenant create mercy --name Mercy --issuer https://i.example --jwks keys.json",
        "tenant create mercy --issuer https://i.example --jwks-url https://i.example/jwks --isolation schema --tier gold",
        "tenant list --json",
        "--json tenant show mercy",
        "tenant suspend mercy",
        "tenant resume mercy",
        "tenant delete mercy --confirm mercy",
        "issuer add --tenant mercy --issuer https://i.example --jwks keys.json --strict --max-lifetime 2h",
        "issuer add --tenant mercy --issuer https://i.example",
        "issuer add --tenant mercy --issuer https://i.example --discover --algorithm RS256 --algorithm ES256 --mapping m",
        "issuer list --tenant mercy",
        "issuer remove --tenant mercy --issuer https://i.example",
        "migrate status --json",
        "migrate up --jobs 8 --tenant mercy",
        "token --tenant mercy --scope system/*.rs --ttl 90s --patient p1 --fhir-user Practitioner/1 --encounter e1",
        "token --tenant mercy --scope system/*.rs --cert-thumbprint X --jkt Y",
        "token --tenant mercy --scope vitals:read --delegated",
        "grant create --from mercy --to grace --scope vitals:read --purpose HRESCH --expires 90d",
        "grant create --from mercy --to grace --scope x --purpose TREAT --expires 2027-01-31 --not-before 1d --note N",
        "grant list --json",
        "grant list --tenant mercy",
        "grant show 0 --preview",
        "grant revoke 0",
        "import --tenant mercy a.ndjson b.ndjson",
        "import --tenant mercy --restart -",
        "audit verify --tenant mercy",
        "audit tail --lines 5",
        "openapi",
        "doctor --json",
    ];
    for line in accepted {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
    let refused = [
        "",
        "server",
        "serve --frobnicate",
        "tenant create",
        "tenant create Mercy",
        "tenant create pgx",
        "tenant create mercy --issuer https://i.example",
        "tenant create mercy --jwks keys.json",
        "tenant create mercy --issuer https://i.example --jwks a --jwks-url b",
        "tenant create mercy --isolation pooled",
        "tenant delete mercy",
        "issuer add --tenant mercy",
        "issuer add --tenant mercy --issuer https://i.example --discover --jwks a",
        "issuer add --tenant mercy --issuer https://i.example --discover --jwks-url b",
        "migrate up --jobs 0",
        "token --tenant mercy",
        "token --tenant mercy --scope x --ttl 1",
        "grant create --from mercy --to grace --scope x --purpose TREAT",
        "grant create --from mercy --to Grace --scope x --purpose TREAT --expires 1d",
        "grant revoke",
        "import --tenant mercy",
        "audit tail --lines -1",
    ];
    for line in refused {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn options_of_every_command_stand_before_or_after_it() {
    for line in ["--listen 127.0.0.1:1 tenant --json list", "tenant list --listen 127.0.0.1:1 --json"] {
        let invocation = parse(line).unwrap();
        assert_eq!(invocation.flags.listen.as_deref(), Some("127.0.0.1:1"));
        assert!(invocation.json);
        assert!(matches!(invocation.command, Command::Tenant(TenantCommand::List)));
    }
    let allowed =
        parse("serve --egress-allow 10.0.0.0/8,::1/128 --egress-allow 127.0.0.1/32").unwrap().flags.egress_allow;
    assert_eq!(allowed, ["10.0.0.0/8", "::1/128", "127.0.0.1/32"]);
}

#[test]
fn values_arrive_as_types() {
    let Command::Issuer(IssuerCommand::Add(add)) =
        parse("issuer add --tenant mercy --issuer https://i.example --max-lifetime 2h").unwrap().command
    else {
        panic!("another command");
    };
    assert_eq!(add.tenant.as_str(), "mercy");
    assert_eq!(add.max_lifetime.map(|span| span.as_secs()), Some(7_200));

    let Command::Token(token) =
        Invocation::try_parse_from(["vitals", "token", "--tenant", "mercy", "--scope", ""]).unwrap().command
    else {
        panic!("another command");
    };
    assert_eq!((token.scope.as_str(), token.ttl.as_secs()), ("", 3_600));
}
