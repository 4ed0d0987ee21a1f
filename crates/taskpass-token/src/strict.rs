//! JSON read more strictly than serde does by itself.
//!
//! A derived struct also accepts a JSON array of its fields' values in order, and an `Option` takes
//! `null` for absent. Neither may happen to a header or a claim: [`Object`] takes an object only,
//! [`present`] takes a value only. Duplicate members are refused by the derived structs themselves.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A `T` that was written as a JSON object.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMap<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMap<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(OnlyMap(PhantomData)).map(Self)
    }
}

/// For `#[serde(default, deserialize_with = "present")]`: absent is `None`, `null` is an error.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Inner {
        #[serde(default, deserialize_with = "present")]
        word: Option<String>,
    }

    #[test]
    fn only_objects_and_no_null() {
        let read = |text: &str| serde_json::from_str::<Object<Inner>>(text).map(|o| o.0.word);
        assert_eq!(read("{}").unwrap(), None);
        assert_eq!(read(r#"{"word":"x"}"#).unwrap().as_deref(), Some("x"));
        for bad in [
            r#"["x"]"#,
            r#"{"word":null}"#,
            r#"{"word":1}"#,
            "null",
            r#"{"word":"x","word":"y"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
