//! XML text into tags, attributes and text: a deliberately small part of XML 1.0.
//!
//! Refused at sight, before anything is built from them: document types (and so every entity declaration),
//! entities other than the five of XML, processing instructions, CDATA sections, prefixed names. Nothing is ever
//! fetched or expanded, so no document grows.

use super::is_xml_character;
use crate::CodecError;

/// Attributes of one tag. FHIR has three; XHTML's elements seldom have more than six. Each is compared with those
/// before it, so without a limit a hostile tag costs the square of its length.
const MAX_ATTRIBUTES: usize = 32;

/// An attribute: its name, and its value with references resolved and white space made spaces.
pub type Attribute<'x> = (&'x str, String);

/// What comes next in the text.
#[derive(Debug)]
pub enum Event<'x> {
    /// A start tag; `empty` when it closes itself.
    Start { name: &'x str, attributes: Vec<Attribute<'x>>, empty: bool },
    /// An end tag.
    End { name: &'x str },
    /// Text between tags, as written.
    Text(&'x str),
    /// The end of the document.
    Eof,
}

/// A place in an XML text.
#[derive(Debug)]
pub struct Scanner<'x> {
    text: &'x str,
    at: usize,
    tag: usize,
}

impl<'x> Scanner<'x> {
    /// Begins a document: a byte order mark and an XML declaration are passed over.
    pub fn document(text: &'x str) -> Result<Self, CodecError> {
        let mut scanner = Self::fragment(text.strip_prefix('\u{FEFF}').unwrap_or(text));
        if scanner.rest().starts_with("<?xml") {
            scanner.declaration()?;
        }
        Ok(scanner)
    }

    /// Begins a piece of a document, where no declaration may stand.
    pub fn fragment(text: &'x str) -> Self {
        Self { text, at: 0, tag: 0 }
    }

    /// Where the start tag begins that was read last.
    pub fn tag(&self) -> usize {
        self.tag
    }

    /// The text from a place to where reading stands.
    pub fn since(&self, place: usize) -> &'x str {
        &self.text[place..self.at]
    }

    /// Whether all of the text is read.
    pub fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// A refusal at this place.
    pub fn refuse(&self, what: &'static str) -> CodecError {
        let line = 1 + self.text[..self.at].matches('\n').count();
        CodecError::Refused { what, line }
    }

    /// The next tag or text; comments are passed over.
    pub fn next(&mut self) -> Result<Event<'x>, CodecError> {
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return Ok(Event::Eof);
            }
            if !rest.starts_with('<') {
                return self.text_run();
            }
            if rest.starts_with("</") {
                return self.end_tag();
            }
            if rest.starts_with("<!--") {
                self.comment()?;
                continue;
            }
            return match rest.as_bytes().get(1) {
                Some(b'?') => Err(self.refuse("processing instructions are not accepted")),
                Some(b'!') if rest.starts_with("<![CDATA[") => Err(self.refuse("CDATA sections are not accepted")),
                Some(b'!') => Err(self.refuse("document type declarations are not accepted")),
                _ => self.start_tag(),
            };
        }
    }

    fn rest(&self) -> &'x str {
        &self.text[self.at..]
    }

    fn declaration(&mut self) -> Result<(), CodecError> {
        self.at += "<?xml".len();
        let attributes = self.attributes()?;
        if !self.take("?>") {
            return Err(self.refuse("the XML declaration is malformed"));
        }
        for (place, (name, value)) in attributes.iter().enumerate() {
            let fine = match *name {
                "version" => place == 0 && value == "1.0",
                "encoding" => value.eq_ignore_ascii_case("utf-8"),
                "standalone" => value == "yes" || value == "no",
                _ => false,
            };
            if !fine {
                return Err(self.refuse("the XML declaration must say version 1.0, and UTF-8 if anything"));
            }
        }
        if attributes.is_empty() { Err(self.refuse("the XML declaration has no version")) } else { Ok(()) }
    }

    fn text_run(&mut self) -> Result<Event<'x>, CodecError> {
        let rest = self.rest();
        let run = &rest[..rest.find('<').unwrap_or(rest.len())];
        if run.contains("]]>") {
            return Err(self.refuse("']]>' may not stand in text"));
        }
        self.resolve(run)?;
        self.at += run.len();
        Ok(Event::Text(run))
    }

    fn comment(&mut self) -> Result<(), CodecError> {
        let inside = &self.rest()["<!--".len()..];
        let Some(end) = inside.find("--").filter(|end| inside[*end..].starts_with("-->")) else {
            return Err(self.refuse("a comment is malformed"));
        };
        if !inside[..end].chars().all(is_xml_character) {
            return Err(self.refuse("a comment is malformed"));
        }
        self.at += "<!--".len() + end + "-->".len();
        Ok(())
    }

    fn start_tag(&mut self) -> Result<Event<'x>, CodecError> {
        self.tag = self.at;
        self.at += 1;
        let name = self.name()?;
        let attributes = self.attributes()?;
        let empty = self.take("/");
        if self.take(">") {
            Ok(Event::Start { name, attributes, empty })
        } else {
            Err(self.refuse("a start tag is malformed"))
        }
    }

    fn end_tag(&mut self) -> Result<Event<'x>, CodecError> {
        self.at += 2;
        let name = self.name()?;
        self.white_space();
        if self.take(">") { Ok(Event::End { name }) } else { Err(self.refuse("an end tag is malformed")) }
    }

    fn attributes(&mut self) -> Result<Vec<Attribute<'x>>, CodecError> {
        let mut attributes: Vec<Attribute<'x>> = Vec::new();
        loop {
            let spaced = self.white_space();
            if self.rest().is_empty() || self.rest().starts_with(['>', '/', '?']) {
                return Ok(attributes);
            }
            if !spaced {
                return Err(self.refuse("attributes must be separated by white space"));
            }
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(self.refuse("a tag has more than 32 attributes"));
            }
            let attribute = self.attribute()?;
            if attributes.iter().any(|(name, _)| *name == attribute.0) {
                return Err(self.refuse("an attribute stands twice in a tag"));
            }
            attributes.push(attribute);
        }
    }

    fn attribute(&mut self) -> Result<Attribute<'x>, CodecError> {
        // `xml:lang` and `xml:id` belong to XML itself; the tree decides where they may stand.
        let from = self.at;
        let own_prefix = self.take("xml:");
        self.name()?;
        let name = &self.text[from..self.at];
        if own_prefix && name == "xml:base" {
            return Err(self.refuse("xml:base is not accepted"));
        }
        self.white_space();
        let equals = self.take("=");
        self.white_space();
        let quote = if self.take("\"") {
            '"'
        } else if self.take("'") {
            '\''
        } else {
            return Err(self.refuse("an attribute has no quoted value"));
        };
        let rest = self.rest();
        let Some(raw) = rest.find(quote).map(|end| &rest[..end]).filter(|_| equals) else {
            return Err(self.refuse("an attribute has no quoted value"));
        };
        if raw.contains('<') {
            return Err(self.refuse("'<' may not stand in an attribute"));
        }
        // White space as written becomes spaces (a line break one space); `&#10;` stays a line break.
        let flat = raw.replace("\r\n", " ").replace(['\n', '\r', '\t'], " ");
        let value = self.resolve(&flat)?;
        self.at += raw.len() + 1;
        Ok((name, value))
    }

    fn name(&mut self) -> Result<&'x str, CodecError> {
        let rest = self.rest();
        let length = rest
            .find(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.')))
            .unwrap_or(rest.len());
        if rest[length..].starts_with(':') {
            return Err(self.refuse("prefixed names are not accepted: declare the namespace as the default one"));
        }
        if length == 0 || !rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
            return Err(self.refuse("a name was expected"));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn white_space(&mut self) -> bool {
        let rest = self.rest();
        let after = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.at += rest.len() - after.len();
        after.len() < rest.len()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Text with its references resolved; refuses entities of one's own and characters that XML does not have.
    fn resolve(&self, raw: &str) -> Result<String, CodecError> {
        if !raw.chars().all(is_xml_character) {
            return Err(self.refuse("a character that XML does not allow"));
        }
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(place) = rest.find('&') {
            out.push_str(&rest[..place]);
            let reference = &rest[place + 1..];
            let Some(end) = reference.find(';') else {
                return Err(self.refuse("'&' without ';'"));
            };
            match character(&reference[..end]) {
                Some(character) => out.push(character),
                None => return Err(self.refuse("only the five entities of XML and character references are accepted")),
            }
            rest = &reference[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }
}

fn character(reference: &str) -> Option<char> {
    let number = match reference {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "apos" => return Some('\''),
        "quot" => return Some('"'),
        _ => reference.strip_prefix('#')?,
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).filter(|character| is_xml_character(*character))
}
