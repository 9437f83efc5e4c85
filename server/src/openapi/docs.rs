//! The document as a page for people: our own, because the pages that ship with libraries load fonts and scripts
//! from elsewhere. No script, and one style sheet that the policy allows by its hash.

use serde_json::Value;

use super::{build, is_method};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h2{margin-top:2.5rem}details{border-top:1px solid #8884;padding:.4rem 0}summary{cursor:pointer}\
code{font:14px ui-monospace,monospace}b{display:inline-block;min-width:4.5rem}dt{margin-top:.4rem}";

/// The `Content-Security-Policy` to send with the page. The hash is that of the style sheet, which a test holds.
pub const DOCS_POLICY: &str = "default-src 'none'; style-src 'sha256-gddV57XL3DOHb7fD+6B5g795MrJMzGkg288AH6HoacU='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page: every operation under its tag, then the schemas.
pub fn docs_page() -> String {
    let document = build();
    let mut page = String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width\"><title>Vitals API</title><style>");
    page.push_str(STYLE);
    page.push_str("</style></head><body>\n<h1>Vitals API</h1>\n<p>");
    push_text(&mut page, &document["info"]["description"]);
    page.push_str("</p>\n<p>The same for programs: <a href=\"/openapi.json\">openapi.json</a>, ");
    page.push_str("<a href=\"/openapi.plain.json\">openapi.plain.json</a> (application/json only).</p>\n");
    for tag in document["tags"].as_array().into_iter().flatten() {
        page.push_str("<h2>");
        push_text(&mut page, &tag["name"]);
        page.push_str("</h2>\n<p>");
        push_text(&mut page, &tag["description"]);
        page.push_str("</p>\n");
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten().filter(|(key, _)| is_method(key)) {
                if operation["tags"][0] == tag["name"] {
                    push_operation(&mut page, method, path, operation, &document);
                }
            }
        }
    }
    page.push_str("<h2>Shapes</h2>\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        push_schema(&mut page, name, schema);
    }
    page.push_str("</body></html>\n");
    page
}

fn push_schema(page: &mut String, name: &str, schema: &Value) {
    page.push_str("<details><summary><code>");
    push_escaped(page, name);
    page.push_str("</code></summary>\n<p>");
    push_linked(page, schema["description"].as_str().unwrap_or_default());
    page.push_str("</p>\n<dl>");
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        page.push_str("<dt><code>");
        push_escaped(page, name);
        page.push_str("</code> (");
        push_escaped(page, &shape(member));
        page.push_str(")</dt><dd>");
        push_text(page, &member["description"]);
        page.push_str("</dd>");
    }
    page.push_str("</dl></details>\n");
}

/// What a member is, in a word or two.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|pointer| pointer.rsplit('/').next()) {
        return name.to_owned();
    }
    if let Some(kinds) = schema["oneOf"].as_array() {
        return kinds.iter().map(shape).collect::<Vec<_>>().join(" or ");
    }
    if let Some(codes) = schema["enum"].as_array() {
        return codes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", shape(&schema["items"])),
        kind => kind.unwrap_or_default().to_owned(),
    }
}

fn push_operation(page: &mut String, method: &str, path: &str, operation: &Value, document: &Value) {
    page.push_str("<details><summary><b>");
    page.push_str(&method.to_ascii_uppercase());
    page.push_str("</b><code>");
    push_escaped(page, path);
    page.push_str("</code> ");
    push_text(page, &operation["summary"]);
    page.push_str("</summary>\n<p>");
    push_text(page, &operation["description"]);
    page.push(' ');
    push_linked(page, operation["externalDocs"]["url"].as_str().unwrap_or_default());
    page.push_str("</p>\n<dl>");
    for scope in operation["x-scopes"].as_array().into_iter().flatten() {
        page.push_str("<dt><code>");
        push_text(page, scope);
        page.push_str("</code> (scope)</dt>");
    }
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = resolved(document, parameter);
        page.push_str("<dt><code>");
        push_text(page, &parameter["name"]);
        page.push_str("</code> (");
        push_text(page, &parameter["in"]);
        page.push_str(")</dt><dd>");
        push_text(page, &parameter["description"]);
        page.push_str("</dd>");
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        page.push_str("<dt><code>");
        push_escaped(page, status);
        page.push_str("</code></dt><dd>");
        push_text(page, &resolved(document, response)["description"]);
        page.push_str("</dd>");
    }
    page.push_str("</dl>");
    for content in operation["requestBody"]["content"].as_object().into_iter().flat_map(|content| content.values()) {
        for example in content["examples"].as_object().into_iter().flat_map(|examples| examples.values()) {
            let example = resolved(document, example);
            page.push_str("<p>");
            push_text(page, &example["summary"]);
            page.push_str("</p>\n<pre>");
            push_escaped(page, &format!("{:#}", example["value"]));
            page.push_str("</pre>\n");
        }
    }
    page.push_str("</details>\n");
}

/// What a `$ref` refers to, or the value itself.
pub fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn push_text(page: &mut String, value: &Value) {
    push_escaped(page, value.as_str().unwrap_or_default());
}

/// A text that may end with the address of its definition.
fn push_linked(page: &mut String, text: &str) {
    let Some(place) = text.rfind("https://") else { return push_escaped(page, text) };
    let (before, address) = text.split_at(place);
    push_escaped(page, before);
    page.push_str("<a href=\"");
    push_escaped(page, address);
    page.push_str("\">");
    push_escaped(page, address);
    page.push_str("</a>");
}

fn push_escaped(page: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '&' => page.push_str("&amp;"),
            '"' => page.push_str("&quot;"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn the_policy_allows_exactly_this_style_sheet() {
        let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        assert!(DOCS_POLICY.contains(&format!("style-src 'sha256-{hash}';")), "{hash}");
        assert!(docs_page().contains(&format!("<style>{STYLE}</style>")));
    }
}
