//! Schema of what a tenant's callers may do.

use serde_json::{Map, Value, json};

use super::{list, object};

/// Every schema by its name.
pub fn schemas() -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let number = || json!({ "type": "integer" });
    let windows = || {
        let window = [
            ("window", json!({ "type": "string", "enum": ["burst", "sustained", "daily"] })),
            ("seconds", number()),
            ("quota", number()),
            ("used", number()),
            ("remaining", number()),
        ];
        list(&object(&window, &["window", "seconds", "quota", "used", "remaining"]))
    };
    let client = object(&[("client", text()), ("windows", windows())], &["client", "windows"]);
    let limit = object(
        &[("category", text()), ("windows", windows()), ("clients", list(&client))],
        &["category", "windows", "clients"],
    );
    let limits = object(
        &[("tenant", text()), ("tier", text()), ("shared", json!({ "type": "boolean" })), ("limits", list(&limit))],
        &["tenant", "tier", "shared", "limits"],
    );
    Map::from_iter([("Limits".to_owned(), limits)])
}
