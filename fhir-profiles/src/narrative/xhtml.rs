//! A small strict reader of the XHTML that a narrative may hold.

use std::borrow::Cow;

use super::{Fault, attribute, is_attribute, is_element};

/// Elements without an end tag in HTML: whatever stood inside would stand behind them.
const VOID: [&str; 5] = ["area", "br", "col", "hr", "img"];

/// Reads a whole narrative.
pub(super) fn check(div: &str) -> Result<(), Fault> {
    let mut reader = Reader { text: div, at: 0, open: Vec::new(), has_content: false };
    reader.start()?;
    while !reader.open.is_empty() {
        reader.step()?;
    }
    if reader.at < div.len() {
        return Err(reader.fault("the narrative must end with the </div> that it begins with"));
    }
    if reader.has_content {
        Ok(())
    } else {
        Err(Fault { key: "txt-2", message: "the narrative is blank: write some text or leave it out", at: 0 })
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    open: Vec<&'t str>,
    has_content: bool,
}

impl<'t> Reader<'t> {
    const fn fault(&self, message: &'static str) -> Fault {
        Fault { key: "txt-1", message, at: self.at }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip(&mut self, mark: &str) -> bool {
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len();
        }
        found
    }

    fn space(&mut self) -> bool {
        let rest = self.rest();
        let behind = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.at += rest.len() - behind.len();
        behind.len() < rest.len()
    }

    /// Everything while one of `is` holds.
    fn run(&mut self, is: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| is(*byte)).count();
        self.at += length;
        &rest[..length]
    }

    /// The `<div` at the very beginning.
    fn start(&mut self) -> Result<(), Fault> {
        let is_div = self.text.strip_prefix("<div").is_some_and(|rest| !rest.starts_with(is_name));
        if is_div { self.tag() } else { Err(self.fault("the narrative must be one <div>")) }
    }

    /// Text up to the next mark, and the mark.
    fn step(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let length = rest.find(['<', '&']).ok_or_else(|| self.fault("an element is not closed"))?;
        let text = &rest[..length];
        self.has_content |= !text.chars().all(char::is_whitespace);
        if let Some(at) = text.find("]]>") {
            self.at += at;
            return Err(self.fault("write ]]&gt; for ]]>"));
        }
        self.at += length;
        if rest[length..].starts_with('&') {
            let character = self.reference()?;
            self.has_content |= !character.is_whitespace();
            Ok(())
        } else if rest[length..].starts_with("</") {
            self.end()
        } else if rest[length..].starts_with("<!--") {
            self.comment()
        } else {
            self.tag()
        }
    }

    /// A start tag with its attributes.
    fn tag(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        if !self.rest().starts_with(|first: char| first.is_ascii_alphabetic()) {
            self.at = start;
            return Err(self.fault("only elements and comments may stand here: write &lt; for a '<'"));
        }
        let name = self.run(|byte| is_name(byte as char));
        if !is_element(name) {
            self.at = start;
            return Err(self.fault("an element that narratives must not have: remove it, or use basic formatting"));
        }
        let mut names: Vec<&str> = Vec::new();
        loop {
            let spaced = self.space();
            if self.skip("/>") {
                self.has_content |= name == "img";
                return Ok(());
            }
            if self.skip(">") {
                break;
            }
            if !spaced {
                return Err(self.fault("a tag is malformed"));
            }
            let at = self.at;
            let attribute = self.attribute(name)?;
            // As few as there are names allowed, so a search is quick.
            if names.contains(&attribute) {
                self.at = at;
                return Err(self.fault("an attribute stands twice: remove one"));
            }
            names.push(attribute);
        }
        if VOID.contains(&name) && !self.rest().starts_with("</") {
            return Err(self.fault("an empty element must end with />"));
        }
        self.has_content |= name == "img";
        self.open.push(name);
        Ok(())
    }

    /// One attribute; its name.
    fn attribute(&mut self, element: &str) -> Result<&'t str, Fault> {
        let start = self.at;
        let name = self.run(|byte| is_name(byte as char) || matches!(byte, b':' | b'_'));
        if name.is_empty() {
            return Err(self.fault("a tag is malformed"));
        }
        if !is_attribute(element, name) {
            self.at = start;
            return Err(self.fault("an attribute that narratives must not have: remove it"));
        }
        self.space();
        let quoted = self.skip("=") && {
            self.space();
            self.rest().starts_with(['"', '\''])
        };
        if !quoted {
            return Err(self.fault("an attribute needs a value in quotes"));
        }
        let quote = &self.rest()[..1];
        self.at += 1;
        let length = self.rest().find(quote).ok_or_else(|| self.fault("the value of an attribute does not end"))?;
        let end = self.at + length;
        let value = self.value(end)?;
        if let Some(message) = attribute::fault(element, name, &value) {
            self.at = start;
            return Err(self.fault(message));
        }
        self.at = end + 1;
        Ok(name)
    }

    /// The value of an attribute up to `end`, its character references resolved.
    fn value(&mut self, end: usize) -> Result<Cow<'t, str>, Fault> {
        let raw = &self.text[self.at..end];
        if let Some(at) = raw.find('<') {
            self.at += at;
            return Err(self.fault("write &lt; for a '<' in an attribute"));
        }
        if !raw.contains('&') {
            return Ok(Cow::Borrowed(raw));
        }
        let mut out = String::with_capacity(raw.len());
        while self.at < end {
            let plain = self.text[self.at..end].find('&').unwrap_or(end - self.at);
            out.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            if self.at < end {
                out.push(self.reference()?);
            }
        }
        Ok(Cow::Owned(out))
    }

    /// A character reference: by number, or one of the five names that XML itself knows.
    fn reference(&mut self) -> Result<char, Fault> {
        let inner = self.rest()[1..].split_once(';').map(|(inner, _)| inner).filter(|inner| inner.len() <= 8);
        let character = inner.and_then(|inner| match inner {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => numbered(inner.strip_prefix('#')?),
        });
        let Some((inner, character)) = inner.zip(character) else {
            return Err(self.fault("write &amp; for a '&', and characters themselves for names such as &nbsp;"));
        };
        self.at += inner.len() + 2;
        Ok(character)
    }

    fn end(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 2;
        let name = self.run(|byte| is_name(byte as char));
        self.space();
        if self.open.last() == Some(&name) && self.skip(">") {
            self.open.pop();
            return Ok(());
        }
        self.at = start;
        Err(self.fault("an end tag does not belong to the element that is open"))
    }

    /// A comment that XML and HTML read alike: HTML ends one at `<!-->`, `<!--->` and `--!>` too.
    fn comment(&mut self) -> Result<(), Fault> {
        let inner = self.rest()["<!--".len()..].split_once("--").map(|(inner, _)| inner);
        let sound = inner.filter(|inner| !inner.starts_with(['>', '-', '[']));
        match sound {
            Some(inner) if self.rest()["<!--".len() + inner.len()..].starts_with("-->") => {
                self.at += "<!---->".len() + inner.len();
                Ok(())
            }
            _ => Err(self.fault("a comment is malformed or conditional: remove it")),
        }
    }
}

const fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.')
}

/// The character of a decimal or hexadecimal number that XML allows.
fn numbered(digits: &str) -> Option<char> {
    let (digits, radix) = digits.strip_prefix('x').map_or((digits, 10), |digits| (digits, 16));
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, radix).ok().filter(|_| only_digits)?;
    let allowed = matches!(number, 0x9 | 0xA | 0xD | 0x20..=0xD7FF | 0xE000..=0xFFFD | 0x1_0000..=0x10_FFFF);
    char::from_u32(number).filter(|_| allowed)
}
