//! Attacks on tokens and keys, by their numbers, over HTTP and with real keys. Every token here is really signed,
//! unless its row is about the signature. J16 to J20 are in `headers`, J21 to J30 in `claims`, keys that are fetched in
//! `attacks_keys.rs`.

mod claims;
mod headers;

use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use vitals_access::clock::Clock as _;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster,
    forge::{self, Forge, b64, header, hmac, message, other_s, unb64},
    issuer::{inline, issuer, register, unique_url},
    ledger, raw,
    tenant::client,
};

/// What is not built yet, and so has no case here.
const ELSEWHERE: [(&str, &str); 2] = [
    ("J09", "white space at the end of a header is no part of its value (RFC 9110, section 5.5), so it never arrives"),
    ("J36", "there is no token endpoint yet, so no client assertion to replay"),
];

/// Two tenants on a server whose clock stands still, with issuers of every kind.
struct World {
    server: &'static Server,
    mercy: Tenant,
    grace: Tenant,
    /// Mercy's issuer, with usable and unusable keys.
    a: String,
    /// Grace's, with a key of the same id as one of A's.
    b: String,
    /// Mercy's second, which publishes B's key as its own.
    thief: String,
    /// Mercy's third, whose tokens must say that they are access tokens.
    strict: String,
    p256: Forge,
    p384: Forge,
    rsa: Forge,
    rs384: Forge,
    ed: Forge,
    /// B's.
    other: Forge,
}

/// Number, what, token, expected outcome.
type Row = (&'static str, String, String, Outcome);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    Invalid,
    Expired,
}

use Outcome::{Expired, Good, Invalid};

async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD.get_or_init(World::start).await
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

impl World {
    async fn start() -> Self {
        let server: &'static Server = Server::for_all_tests(cluster::shared(), Options::default()).await;
        server.clock.stop();
        let (mercy, grace) = (Tenant::on(server).await, Tenant::on(server).await);
        // No token is older than its tenant, and some of these are hours old.
        server.clock.advance(4 * 60 * 60);
        let [a, b, thief, strict] = ["a", "b", "thief", "strict"].map(unique_url);
        let (p256, p384, rsa, rs384) = (Forge::p256(), Forge::p384(), Forge::rsa(), Forge::rsa());
        let (ed, other) = (Forge::ed(), Forge::p256());
        let keys_of_a = inline(&[
            p256.jwk("a-es"),
            p384.jwk("a-p384"),
            rsa.jwk("a-rsa"),
            with(rs384.jwk("a-rs384"), "alg", json!("RS384")),
            ed.jwk("a-ed"),
            forge::RSA_512.jwk("a-512"),
            forge::RSA_1024.jwk("a-1024"),
            with(rsa.jwk("a-one"), "e", json!("AQ")),
            with(rsa.jwk("a-enc"), "use", json!("enc")),
            with(rsa.jwk("a-ops"), "key_ops", json!(["encrypt"])),
            json!({ "kty": "oct", "kid": "a-oct", "k": b64(SECRET), "alg": "HS256" }),
        ]);
        register(&issuer(&a, keys_of_a), &[&mercy]).await;
        register(&issuer(&b, inline(&[other.jwk("a-es")])), &[&grace]).await;
        register(&issuer(&thief, inline(&[other.jwk("mine")])), &[&mercy]).await;
        let mut access_tokens_only = issuer(&strict, inline(&[p256.jwk("s")]));
        access_tokens_only.strict = true;
        register(&access_tokens_only, &[&mercy]).await;
        Self { server, mercy, grace, a, b, thief, strict, p256, p384, rsa, rs384, ed, other }
    }

    /// The second the clock stands at.
    fn now(&self) -> i64 {
        self.server.clock.now().timestamp()
    }

    /// The claims of a good token of this issuer's.
    fn claims_of(&self, issuer: &str) -> Map<String, Value> {
        let claims = json!({
            "iss": issuer,
            "sub": "nurse",
            "aud": self.server.url,
            "exp": self.now() + 600,
            "iat": self.now(),
            "scope": "system/*.cruds",
        });
        claims.as_object().expect("an object").clone()
    }

    /// The claims of a good token of A's as text, with changes.
    fn claims(&self, changes: &[(&str, Value)]) -> String {
        let mut claims = self.claims_of(&self.a);
        claims.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Value::Object(claims).to_string()
    }

    fn claims_without(&self, name: &str) -> Map<String, Value> {
        let mut claims = self.claims_of(&self.a);
        claims.remove(name);
        claims
    }

    /// A token of A's with this header as it is written, signed with the P-256 key.
    fn headed(&self, header: &str) -> String {
        self.p256.token(header, &self.claims(&[]))
    }

    /// A token of A's with these claims as they are written.
    fn claiming(&self, claims: &str) -> String {
        self.p256.token(&header("ES256", "a-es"), claims)
    }

    /// A token of A's with changed claims.
    fn token(&self, changes: &[(&str, Value)]) -> String {
        self.claiming(&self.claims(changes))
    }

    async fn show(&self, token: &str) -> Answer {
        Answer::of(client().get(format!("{}/fhir/Patient", self.server.url)).bearer_auth(token)).await
    }

    /// Shows each token twice: what was judged once may be remembered. Each time leaves one record.
    async fn judge(&self, rows: Vec<Row>) {
        for (number, what, token, expected) in rows {
            for time in ["first", "second"] {
                let answer = self.show(&token).await.sound();
                check(&answer, expected, &format!("{number} {what}, {time} time"));
            }
        }
        assert!(ledger::each_left_one_record().await > 0, "nothing was asked");
    }
}

const SECRET: &[u8] = b"secret-secret-secret-secret-secret-secret";

fn row(number: &'static str, what: impl std::fmt::Display, token: String, expected: Outcome) -> Row {
    (number, what.to_string(), token, expected)
}

#[track_caller]
fn check(answer: &Answer, expected: Outcome, what: &str) {
    let body = &answer.body;
    if expected == Good {
        assert_eq!(answer.status, 200, "{what}: {body}");
        return;
    }
    assert_eq!(answer.status, 401, "{what}: {body}");
    assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{what}: {body}");
    let outcome = answer.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{what}: {body}");
    let code = if expected == Expired { "expired" } else { "login" };
    assert_eq!(outcome["issue"][0]["code"], code, "{what}: {body}");
}

#[tokio::test]
async fn attacks_without_a_case_are_listed() {
    for (number, reason) in ELSEWHERE {
        println!("{number} not covered, or in part: {reason}");
    }
}

#[tokio::test]
async fn a_good_token_of_each_kind_of_key_is_let_in() {
    let world = world().await;
    let claims = world.claims(&[]);
    let mut rows = vec![row("", "own key", world.mercy.all(), Good)];
    for (forge, algorithm, kid) in [
        (&world.p256, "ES256", "a-es"),
        (&world.p384, "ES384", "a-p384"),
        (&world.rsa, "RS256", "a-rsa"),
        (&world.rsa, "RS384", "a-rsa"),
        (&world.rsa, "PS256", "a-rsa"),
        (&world.rs384, "RS384", "a-rs384"),
        (&world.ed, "EdDSA", "a-ed"),
    ] {
        rows.push(row("", algorithm, forge.token(&header(algorithm, kid), &claims), Good));
    }
    world.judge(rows).await;
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j01_to_j08_no_algorithm_but_those_accepted_and_three_parts() {
    let world = world().await;
    let mut rows = Vec::new();
    for (number, name) in [("J01", "none"), ("J02", "None"), ("J02", "nOnE"), ("J02", "NONE"), ("J03", "")] {
        let header = json!({ "alg": name, "kid": "a-es", "typ": "at+jwt" }).to_string();
        let message = message(&header, &world.claims(&[]));
        rows.push(row(number, name, format!("{message}."), Invalid));
        rows.push(row(number, name, format!("{message}.AAAA"), Invalid));
        rows.push(row(number, name, world.headed(&header), Invalid));
    }
    for (number, header) in [
        ("J03", r#"{"kid":"a-es","typ":"at+jwt"}"#),
        ("J03", r#"{"alg":null,"kid":"a-es"}"#),
        ("J03", r#"{"alg":["ES256"],"kid":"a-es"}"#),
        ("J03", r#"{"alg":"es256","kid":"a-es"}"#),
        ("J03", r#"{"alg":"ES256 ","kid":"a-es"}"#),
        ("J03", r#"["ES256","a-es"]"#),
        ("J04", r#"{"alg":"ES256","alg":"ES256","kid":"a-es"}"#),
        ("J04", r#"{"alg":"none","alg":"ES256","kid":"a-es"}"#),
        ("J04", r#"{"alg":"ES256","\u0061lg":"none","kid":"a-es"}"#),
    ] {
        rows.push(row(number, header, world.headed(header), Invalid));
    }
    let der = world.rsa.der();
    let pem = format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", b64(&der));
    let claims = world.claims(&[]);
    for (number, what, kid, secret) in [
        ("J05", "PEM", "a-rsa", pem.as_bytes()),
        ("J05", "DER", "a-rsa", &der),
        ("J05", "n", "a-rsa", &world.rsa.modulus()),
        ("J05", "n as text", "a-rsa", b64(&world.rsa.modulus()).as_bytes()),
        ("J05", "JWK", "a-rsa", world.rsa.jwk("a-rsa").to_string().as_bytes()),
        ("J05", "a symmetric key of the set", "a-oct", SECRET),
        ("J06", "empty secret", "a-es", b""),
        ("J06", "empty secret", "a-rsa", b""),
    ] {
        rows.push(row(number, what, hmac(kid, &claims, secret), Invalid));
    }
    let good = world.token(&[]);
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let (header, payload) = message.split_once('.').expect("three parts");
    for (number, token) in [
        ("J07", format!("{message}.")),
        ("J08", message.to_owned()),
        ("J08", header.to_owned()),
        ("J08", ".".to_owned()),
        ("J08", "..".to_owned()),
        ("J08", format!("{good}.")),
        ("J08", format!(".{good}")),
        ("J08", format!("{good}.{signature}")),
        ("J08", format!("{header}..{signature}")),
        ("J08", format!(".{payload}.{signature}")),
        ("J08", format!("{header}.{header}.{payload}.{payload}.{signature}")),
    ] {
        rows.push(row(number, &token, token.clone(), Invalid));
    }
    world.judge(rows).await;
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j09_to_j12_signatures_have_one_form() {
    let world = world().await;
    let mut rows = Vec::new();
    let good = world.token(&[]);
    let (unsigned, signature) = good.rsplit_once('.').expect("three parts");
    for sign in ["=", "==", "%3D", "%20", "+", "/", "~"] {
        rows.push(row("J09", format!("{sign:?} behind"), format!("{good}{sign}"), Invalid));
    }
    for sign in ["=", "==", " ", "\t", "%3D"] {
        rows.push(row("J09", format!("{sign:?} inside"), format!("{unsigned}{sign}.{signature}"), Invalid));
        rows.push(row("J09", format!("{sign:?} within"), format!("{unsigned}.{sign}{signature}"), Invalid));
        rows.push(row("J09", format!("{sign:?} before"), format!("{sign}{good}"), Invalid));
    }
    // 64 bytes are 86 characters, the last of which holds four loose bits: all 63 others must be refused.
    let signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (body, last) = good.split_at(good.len() - 1);
    for sign in signs.chars().filter(|sign| !last.starts_with(*sign)) {
        rows.push(row("J10", sign, format!("{body}{sign}"), Invalid));
    }

    let text = message(&header("ES256", "a-es"), &world.claims(&[]));
    let with_signature = |bytes: &[u8]| format!("{text}.{}", b64(bytes));
    let fixed = world.p256.sign("ES256", &text);
    let order = forge::P256_ORDER;
    for (number, what, bytes) in [
        ("J11", "r = s = 0", vec![0; 64]),
        ("J11", "r = 0", [&[0; 32], &fixed[32..]].concat()),
        ("J11", "s = 0", [&fixed[..32], &[0; 32]].concat()),
        ("J11", "r = s = n", [order, order].concat()),
        ("J11", "r = s = 2^256 - 1", vec![255; 64]),
        ("J12", "DER", world.p256.sign_asn1(&text)),
        ("J12", "a zero before each half", [&[0], &fixed[..32], &[0], &fixed[32..]].concat()),
        ("J12", "a byte less", fixed[..63].to_vec()),
        ("J12", "a byte more", [&fixed[..], &[0]].concat()),
    ] {
        rows.push(row(number, what, with_signature(&bytes), Invalid));
    }
    // Our own keys sign the lower form only, so the other form is refused. RFC 7518 lets outside issuers sign either.
    let own = world.mercy.all();
    let (own_message, own_signature) = own.rsplit_once('.').expect("three parts");
    let high = format!("{own_message}.{}", b64(&other_s(&unb64(own_signature))));
    rows.push(row("J12", "high s of an own key", high, Invalid));
    rows.push(row("J12", "either s of an outside key", with_signature(&fixed), Good));
    rows.push(row("J12", "either s of an outside key", with_signature(&other_s(&fixed)), Good));
    world.judge(rows).await;
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j13_to_j15_a_key_is_used_for_its_own_algorithms_and_no_weak_one_at_all() {
    let world = world().await;
    let claims = world.claims(&[]);
    let one = message(&header("RS256", "a-one"), &claims);
    let mut rows = vec![
        row("J13", "RSA of 512 bits", forge::RSA_512.token("a-512", &claims), Invalid),
        row("J13", "RSA of 1,024 bits", forge::RSA_1024.token("a-1024", &claims), Invalid),
        row("J14", "e = 1", format!("{one}.{}", b64(&forge::padded_hash(&one, 256))), Invalid),
    ];
    for (algorithm, kid) in [
        ("PS256", "a-rs384"),
        ("RS256", "a-rs384"),
        ("RS256", "a-es"),
        ("ES384", "a-es"),
        ("ES256", "a-p384"),
        ("EdDSA", "a-es"),
        ("ES256", "a-rsa"),
        ("ES256", "a-ed"),
    ] {
        for forge in [&world.rs384, &world.rsa, &world.p256, &world.p384, &world.ed] {
            let token = forge.token(&header(algorithm, kid), &claims);
            rows.push(row("J15", format!("{algorithm} with {kid}"), token, Invalid));
        }
    }
    for algorithm in ["RS512", "PS384", "PS512", "HS384", "HS512", "ES512", "ES256K", "Ed25519", "dir", "RSA-OAEP"] {
        rows.push(row("J15", algorithm, world.rsa.token(&header(algorithm, "a-rsa"), &claims), Invalid));
    }
    world.judge(rows).await;
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j34_a_token_may_have_8192_bytes() {
    let world = world().await;
    let base = world.token(&[("pad", json!(""))]).len();
    // Base64 grows by four characters for three bytes, so pads around the limit give tokens on both sides of it.
    let near = (8_192 - base) / 4 * 3;
    let (mut rows, mut lengths) = (Vec::new(), Vec::new());
    for pad in near - 6..near + 9 {
        let token = world.token(&[("pad", json!("x".repeat(pad)))]);
        lengths.push(token.len());
        let expected = if token.len() <= 8_192 { Good } else { Invalid };
        rows.push(row("J34", token.len(), token, expected));
    }
    assert!(lengths.contains(&8_192) && lengths.iter().any(|length| *length > 8_192), "{lengths:?}");
    world.judge(rows).await;

    for size in [9 * 1024, 32 * 1024, 1 << 20, 20 << 20] {
        let headers = format!("authorization: Bearer {}\r\n", "a".repeat(size));
        // Beyond what is read of a head the connection may be closed without a word.
        if let Some(answer) = raw::get(world.server, "/fhir/Patient", &headers).await {
            assert!(matches!(answer.status, 401 | 431), "{size}: {} {}", answer.status, answer.body);
        } else {
            assert!(size > 64 * 1024, "{size}: no answer");
        }
    }
    world.show(&world.token(&[])).await.expect(200);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j35_a_token_is_sent_once_in_one_header() {
    let world = world().await;
    let (token, second) = (world.token(&[]), world.token(&[("sub", json!("second"))]));
    let get = |query: &str| client().get(format!("{}/fhir/Patient{query}", world.server.url));
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        Answer::of(get("").header("authorization", format!("{scheme} {token}"))).await.expect(200);
    }
    let bearer = format!("Bearer {token}");
    for (what, request) in [
        ("twice", get("").header("authorization", &bearer).header("authorization", &bearer)),
        ("two tokens", get("").header("authorization", &bearer).header("authorization", format!("Bearer {second}"))),
        ("two schemes", get("").header("authorization", &bearer).header("authorization", "Basic eDp5")),
        ("a list", get("").header("authorization", format!("{bearer}, Bearer {second}"))),
        ("a list", get("").header("authorization", format!("{bearer},{second}"))),
        ("in the address", get(&format!("?access_token={token}"))),
        ("in both", get(&format!("?access_token={token}")).header("authorization", &bearer)),
        ("in both, escaped", get(&format!("?%61ccess_token={token}")).header("authorization", &bearer)),
        ("in a form and the header", form(world, &token).header("authorization", &bearer)),
    ] {
        let answer = Answer::of(request).await.sound();
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_request\"", "{what}: {}", answer.body);
        assert!(!answer.holds(&token), "{what}: {}", answer.body);
        answer.expect_outcome(400, "invalid");
    }
    let in_a_form = Answer::of(form(world, &token)).await.sound();
    assert!(matches!(in_a_form.status, 400 | 401), "{}", in_a_form.body);
    for value in [
        "Bearer",
        "Bearer ",
        &format!("Bearer  {token}"),
        &format!("Bearer\t{token}"),
        &format!("Bearer: {token}"),
        &format!("Bearer=\"{token}\""),
        &format!("Token {token}"),
        &format!("ApiKey {token}"),
        &format!("Basic {}", b64(token.as_bytes())),
        &token,
    ] {
        let answer = Answer::of(get("").header("authorization", value)).await.sound();
        check(&answer, Invalid, value);
    }
    // None at all is no bad token.
    let answer = Answer::of(get("")).await.expect_outcome(401, "login");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    // Nor does a cookie or another header hold one.
    for name in ["cookie", "x-authorization", "proxy-authorization", "x-access-token", "x-forwarded-authorization"] {
        let answer = Answer::of(get("").header(name, &bearer)).await.expect_outcome(401, "login");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{name}");
    }
    ledger::each_left_one_record().await;
}

fn form(world: &World, token: &str) -> reqwest::RequestBuilder {
    let request = client().post(format!("{}/fhir/Patient/_search", world.server.url));
    request.header("content-type", "application/x-www-form-urlencoded").body(format!("access_token={token}"))
}
