//! The endpoints of the tenants' authorization servers and of their administration, as one table.

use serde_json::{Map, Value, json};

use super::{add as add_operation, delegated, reference};

/// What an endpoint asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// Nothing.
    Anyone,
    /// A person in a browser.
    Person,
    /// A client that proves who it is (RFC 6749, section 2.3; RFC 7523; RFC 8705).
    Client,
    /// An access token.
    Token,
    /// An access token with `admin:users`.
    Administrator,
}

/// A body or an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    None,
    Json(&'static str),
    /// A form with these fields; those that begin with `!` are required.
    Form(&'static [&'static str]),
    Page,
}

/// One row: caller, method, path below `/t/{tenant}`, operation id, summary, what is sent, status, what is answered.
type Row = (Caller, &'static str, &'static str, &'static str, &'static str, Content, &'static str, Content);

const AUTHORIZE: &[&str] = &[
    "!response_type",
    "!client_id",
    "!redirect_uri",
    "!scope",
    "!aud",
    "!code_challenge",
    "!code_challenge_method",
    "state",
    "launch",
    "nonce",
    "prompt",
    "max_age",
    "login_hint",
    "dpop_jkt",
];

const PROOF: [&str; 4] = ["client_id", "client_secret", "client_assertion_type", "client_assertion"];

const ROWS: &[Row] = &[
    (
        Caller::Anyone,
        "GET",
        "/auth/.well-known/openid-configuration",
        "readServerMetadata",
        "The authorization server's metadata (RFC 8414, OpenID Connect Discovery)",
        Content::None,
        "200",
        Content::Json("ServerMetadata"),
    ),
    (
        Caller::Person,
        "GET",
        "/auth/authorize",
        "authorize",
        "Sign in, choose a patient, consent; ends at `redirect_uri` with `code`, `state` and `iss` (SMART App Launch 2.2, \
         RFC 9207). The same parameters may be posted as a form.",
        Content::Form(AUTHORIZE),
        "200",
        Content::Page,
    ),
    (
        Caller::Client,
        "POST",
        "/auth/par",
        "pushAuthorizationRequest",
        "Leave an authorization request ahead (RFC 9126)",
        Content::Form(AUTHORIZE),
        "201",
        Content::Json("PushedRequest"),
    ),
    (
        Caller::Client,
        "POST",
        "/auth/token",
        "requestToken",
        "A code, a refresh token or the client's own authority into an access token; with a DPoP header or a client \
         certificate it is bound to that (RFC 9449, RFC 8705)",
        Content::Form(&["!grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope"]),
        "200",
        Content::Json("TokenAnswer"),
    ),
    (
        Caller::Client,
        "POST",
        "/auth/introspect",
        "introspectToken",
        "What a token of this tenant is good for (RFC 7662)",
        Content::Form(&["!token", "token_type_hint"]),
        "200",
        Content::Json("Introspection"),
    ),
    (
        Caller::Client,
        "POST",
        "/auth/revoke",
        "revokeToken",
        "Give a token back (RFC 7009); within a second no server takes it",
        Content::Form(&["!token", "token_type_hint"]),
        "200",
        Content::None,
    ),
    (
        Caller::Token,
        "POST",
        "/auth/register",
        "registerClient",
        "Register a client with an initial access token (RFC 7591), where the tenant lets programs do so",
        Content::Json("ClientMetadata"),
        "201",
        Content::Json("ClientMetadata"),
    ),
    (
        Caller::Token,
        "GET",
        "/auth/userinfo",
        "readUserinfo",
        "Who the user is (OpenID Connect)",
        Content::None,
        "200",
        Content::Json("Userinfo"),
    ),
    (
        Caller::Client,
        "POST",
        "/auth/launch",
        "announceLaunch",
        "An EHR announces a launch for a user, a patient and an encounter: a handle that is good once, for five minutes. \
         `client_id` names the app; the EHR proves itself otherwise than by that parameter.",
        Content::Form(&[
            "!client_id",
            "!user",
            "patient",
            "encounter",
            "intent",
            "fhirContext",
            "need_patient_banner",
            "smart_style_url",
        ]),
        "200",
        Content::Json("Launch"),
    ),
    (
        Caller::Person,
        "GET",
        "/auth/manage",
        "manageApps",
        "Connected apps, each with a button that disconnects it",
        Content::None,
        "200",
        Content::Page,
    ),
];

/// Administration: method, path below `/t/{tenant}/admin`, operation id, summary, what is sent, status, what is answered.
pub(super) type AdminRow = (&'static str, &'static str, &'static str, &'static str, Content, &'static str, Content);

const ADMIN: &[AdminRow] = &[
    (
        "GET",
        "/clients",
        "listClients",
        "Apps and services that may ask for tokens",
        NONE,
        "200",
        Content::Json("Clients"),
    ),
    (
        "POST",
        "/clients",
        "createClient",
        "Register an app or a service; a secret is shown this once",
        Content::Json("ClientMetadata"),
        "201",
        Content::Json("ClientMetadata"),
    ),
    ("GET", "/clients/{id}", "readClient", "One client", NONE, "200", Content::Json("ClientMetadata")),
    ("DELETE", "/clients/{id}", "revokeClient", "End a client and every token it has", NONE, "204", NONE),
    (
        "POST",
        "/clients/{id}/secret",
        "renewClientSecret",
        "A new secret, shown this once; the old one is of no use any more",
        NONE,
        "200",
        Content::Json("ClientMetadata"),
    ),
    ("GET", "/users", "listUsers", "People who sign in", NONE, "200", Content::Json("Users")),
    (
        "POST",
        "/users",
        "createUser",
        "Add somebody; a password that is made is shown this once",
        Content::Json("User"),
        "201",
        Content::Json("User"),
    ),
    ("GET", "/users/{id}", "readUser", "One user", NONE, "200", Content::Json("User")),
    ("DELETE", "/users/{id}", "revokeUser", "End a user, the sessions and every token", NONE, "204", NONE),
    (
        "POST",
        "/users/{id}/password",
        "renewPassword",
        "A new password, shown this once; sessions end",
        NONE,
        "200",
        Content::Json("User"),
    ),
    ("GET", "/issuers", "listIssuers", "Outside issuers of accepted tokens", NONE, "200", Content::Json("Issuers")),
    (
        "POST",
        "/issuers",
        "addIssuer",
        "Accept the tokens of an issuer that no other tenant has",
        Content::Json("Issuer"),
        "201",
        Content::Json("Issuer"),
    ),
    (
        "DELETE",
        "/issuers/{id}",
        "removeIssuer",
        "Accept its tokens no longer; the id is its URL, percent-encoded",
        NONE,
        "204",
        NONE,
    ),
    ("GET", "/api-keys", "listApiKeys", "Keys for development", NONE, "200", Content::Json("ApiKeys")),
    (
        "POST",
        "/api-keys",
        "createApiKey",
        "Make a key, shown this once, where the tenant takes them",
        Content::Json("ApiKey"),
        "201",
        Content::Json("ApiKey"),
    ),
    ("DELETE", "/api-keys/{id}", "revokeApiKey", "End a key", NONE, "204", NONE),
    (
        "GET",
        "/keys",
        "listSigningKeys",
        "The keys that tokens are signed with",
        NONE,
        "200",
        Content::Json("SigningKeys"),
    ),
    (
        "POST",
        "/keys",
        "rotateSigningKeys",
        "Sign with new keys from now on; with `now`, tokens of the old ones are refused at once",
        Content::Json("Rotation"),
        "201",
        Content::Json("SigningKeys"),
    ),
    (
        "GET",
        "/sessions",
        "listSessions",
        "Who is signed in, and what was approved",
        NONE,
        "200",
        Content::Json("Sessions"),
    ),
    ("DELETE", "/sessions/{id}", "revokeSession", "End a session or an approval", NONE, "204", NONE),
    (
        "GET",
        "/limits",
        "readLimits",
        "What the tenant's callers may do in a second, a minute and a day, and what they did; of clients, those that came \
         to this server lately",
        NONE,
        "200",
        Content::Json("Limits"),
    ),
];

const NONE: Content = Content::None;

/// Adds every endpoint of the tables.
pub fn add(paths: &mut Map<String, Value>) {
    for (caller, method, path, id, summary, sent, status, answered) in ROWS {
        let operation = describe(*caller, (method, path), (id, summary), *sent, (status, *answered));
        add_operation(paths, &format!("/t/{{tenant}}{path}"), method, operation);
    }
    for (method, path, id, summary, sent, status, answered) in ADMIN.iter().chain(delegated::GRANTS) {
        let operation = describe(Caller::Administrator, (method, path), (id, summary), *sent, (status, *answered));
        add_operation(paths, &format!("/t/{{tenant}}/admin{path}"), method, operation);
    }
}

fn describe(
    caller: Caller,
    (method, path): (&str, &str),
    (id, summary): (&str, &str),
    sent: Content,
    (status, answered): (&str, Content),
) -> Value {
    let tag = if caller == Caller::Administrator { "Administration" } else { "Authorization" };
    let mut parameters = vec![reference("parameters", "tenant")];
    if path.contains("{id}") {
        parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }));
    }
    if method == "GET"
        && let Content::Form(fields) = sent
    {
        parameters.extend(fields.iter().map(|field| {
            let (required, name) = required(field);
            json!({ "name": name, "in": "query", "required": required, "schema": { "type": "string" } })
        }));
    }
    let mut operation = json!({
        "tags": [tag],
        "operationId": id,
        "summary": summary,
        "security": match caller {
            Caller::Anyone | Caller::Person => json!([]),
            Caller::Client => json!([{}, { "clientSecret": [] }]),
            Caller::Token | Caller::Administrator => json!([{ "accessToken": [] }]),
        },
        "parameters": parameters,
    });
    if caller == Caller::Administrator {
        operation["x-scopes"] = json!(["admin:users"]);
    }
    if method == "POST"
        && let Some(content) = content(sent, caller)
    {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    let mut success = json!({ "description": "Done" });
    if let Some(content) = content(answered, Caller::Anyone) {
        success["content"] = content;
    }
    let mut responses = Map::from_iter([(status.to_owned(), success)]);
    let refusals: &[&str] = match caller {
        Caller::Anyone => &["404"],
        Caller::Person => &["400", "404"],
        Caller::Client | Caller::Token => &["400", "401", "403", "404", "429", "503"],
        Caller::Administrator => &["400", "401", "403", "404", "409", "422", "429", "503"],
    };
    for refused in refusals {
        let name = if caller == Caller::Administrator { "Problem" } else { "AuthorizationError" };
        responses.insert((*refused).to_owned(), reference("responses", name));
    }
    operation["responses"] = Value::Object(responses);
    operation
}

fn required(field: &'static str) -> (bool, &'static str) {
    field.strip_prefix('!').map_or((false, field), |name| (true, name))
}

fn content(content: Content, caller: Caller) -> Option<Value> {
    match content {
        Content::None => None,
        Content::Json(name) => Some(json!({ "application/json": { "schema": reference("schemas", name) } })),
        Content::Page => Some(json!({ "text/html": { "schema": { "type": "string" } } })),
        Content::Form(fields) => {
            let proof: &[&'static str] = if caller == Caller::Client { &PROOF } else { &[] };
            let all = || fields.iter().chain(proof).map(|field| required(field));
            let needed: Vec<&str> = all().filter(|(required, _)| *required).map(|(_, name)| name).collect();
            let properties: Map<String, Value> =
                all().map(|(_, name)| (name.to_owned(), json!({ "type": "string" }))).collect();
            let schema = json!({ "type": "object", "properties": properties, "required": needed });
            Some(json!({ "application/x-www-form-urlencoded": { "schema": schema } }))
        }
    }
}
