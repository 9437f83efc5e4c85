//! A JSON value, one level deep: what is below stays the text that it was, and members keep their order and repeats.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A value.
pub(crate) enum Json<'a> {
    Object(Vec<Member<'a>>),
    Array(Vec<&'a str>),
    /// A string, without its escapes.
    String(String),
    /// A number, as it stands.
    Number(&'a str),
    /// `true`, `false` or `null`.
    Word(&'a str),
}

/// One member of an object.
pub(crate) struct Member<'a> {
    pub(crate) name: String,
    /// The text of its value.
    pub(crate) value: &'a str,
}

impl<'a> Json<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        // Checks the whole text, and leaves the space around it away.
        let text = serde_json::from_str::<&RawValue>(text)?.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => Self::Object(serde_json::from_str::<Members<'a>>(text)?.0),
            Some(b'[') => {
                Self::Array(serde_json::from_str::<Vec<&RawValue>>(text)?.into_iter().map(RawValue::get).collect())
            }
            Some(b'"') => Self::String(serde_json::from_str(text)?),
            Some(b't' | b'f' | b'n') => Self::Word(text),
            _ => Self::Number(text),
        })
    }
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<Member<'de>>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(Member { name, value: value.get() });
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Collect).map(Members)
    }
}
