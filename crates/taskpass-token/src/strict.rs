//! JSON read more strictly than serde does by itself.
//!
//! A derived struct also accepts a JSON array of its fields' values in order, and an `Option` takes
//! `null` for absent. Neither may happen to a header or a claim: [`Object`] takes an object only,
//! [`present`] takes a value only. Duplicate members are refused by the derived structs themselves;
//! where members are not known beforehand, [`Unambiguous`] refuses them at every depth.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

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

/// Any JSON value in which no object has a member twice.
#[derive(Debug)]
pub struct Unambiguous(pub Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a number of JSON"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member that stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
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
    #[test]
    fn no_member_stands_twice_at_any_depth() {
        let read = |text: &str| serde_json::from_str::<Unambiguous>(text).map(|value| value.0);
        let good = r#"{"a":[1,-2,0.5,true,null,{"b":"c"}],"d":{"b":"c"}}"#;
        assert_eq!(read(good).unwrap().to_string(), good);
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"[{"b":1,"\u0062":2}]"#,
            r#"{"a":1"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&"[".repeat(10_000)).is_err(), "as deep as may be");
    }
}
