//! What an attribute may say: addresses that do not run, styles that load nothing.

/// The one namespace.
const XHTML: &str = "http://www.w3.org/1999/xhtml";
/// Attributes that hold an address.
const ADDRESSES: [&str; 5] = ["href", "src", "cite", "longdesc", "usemap"];
/// Schemes whose addresses are programs or documents of their own.
const ACTIVE: [&str; 7] = ["javascript", "vbscript", "livescript", "mocha", "data", "blob", "filesystem"];
/// Images that may stand in the text itself; SVG is a document that can act.
const IMAGES: [&str; 5] = ["data:image/png", "data:image/jpeg", "data:image/gif", "data:image/webp", "data:image/bmp"];
/// What a style may not say: it loads something, or runs in some browser.
const ACTIVE_STYLES: [&str; 7] =
    ["url(", "@import", "expression(", "javascript:", "vbscript:", "behavior:", "-moz-binding"];

/// Why the value of an attribute is refused, if it is. `value` has its character references resolved.
pub(super) fn fault(element: &str, name: &str, value: &str) -> Option<&'static str> {
    match name {
        "xmlns" if value != XHTML => Some("xmlns must be http://www.w3.org/1999/xhtml"),
        "style" => style(value),
        _ if ADDRESSES.contains(&name) => address(element, name, value),
        _ => None,
    }
}

fn address(element: &str, name: &str, value: &str) -> Option<&'static str> {
    // Browsers skip white space and control characters when they look for the scheme.
    let plain: String = value.chars().filter(|letter| !letter.is_whitespace() && !letter.is_control()).collect();
    let plain = plain.to_ascii_lowercase();
    let scheme = plain.split(['/', '?', '#']).next().unwrap_or_default().split_once(':').map(|(scheme, _)| scheme);
    if element == "img" && name == "src" && IMAGES.iter().any(|image| is_image(&plain, image)) {
        return None;
    }
    let runs = scheme.is_some_and(|scheme| ACTIVE.contains(&scheme) || !is_scheme(scheme));
    runs.then_some("an address that runs or holds a document of its own: remove it")
}

fn is_image(address: &str, image: &str) -> bool {
    address.strip_prefix(image).is_some_and(|rest| rest.starts_with([';', ',']))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn style(value: &str) -> Option<&'static str> {
    // Comments and escapes can split and spell words.
    if value.contains('\\') {
        return Some("a style with an escape: write it without a backslash");
    }
    let mut plain = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, comment)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain.retain(|letter| !letter.is_whitespace() && !letter.is_control());
    plain.make_ascii_lowercase();
    let acts = ACTIVE_STYLES.iter().any(|word| plain.contains(word));
    acts.then_some("a style that loads something or runs: keep colours, sizes and the like")
}
