//! JSON that can be read in one way only (RFC 7493): what two readers could take for different things is refused.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// The largest integer that every reader of JSON keeps exactly.
const LARGEST: u64 = (1 << 53) - 1;

/// Reads a value of this type, and all that stands there.
///
/// No member stands twice in an object, numbers are integers from 0 to 2^53−1 without fraction and exponent, and there is
/// no `null`, wherever it is. Members that the type does not know are passed over.
pub(crate) fn read<T: DeserializeOwned + Serialize>(octets: &[u8]) -> Option<(T, Value)> {
    let Unambiguous(written) = serde_json::from_slice(octets).ok()?;
    let read = T::deserialize(&written).ok()?;
    // Derived readers take an array for an object, too.
    covers(&serde_json::to_value(&read).ok()?, &written).then_some((read, written))
}

/// Whether everything that was read stands there; what does not was filled in.
fn covers(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            read.iter().all(|(name, value)| written.get(name).is_none_or(|written| covers(value, written)))
        }
        (Value::Array(read), Value::Array(written)) => {
            read.len() == written.len()
                && read.iter().zip(written).all(|(read, written)| covers(read, written))
        }
        _ => read == written,
    }
}

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object, an array, a string, a truth value or an integer from 0 to 2^53-1")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        if value > LARGEST { Err(E::custom("the number is too large")) } else { Ok(value.into()) }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unambiguous(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Seats {
        seats: u64,
        #[serde(default)]
        names: Vec<String>,
    }

    fn accepted(text: &str) -> bool {
        read::<Seats>(text.as_bytes()).is_some()
    }

    #[test]
    fn what_can_be_read_in_one_way_is_accepted() {
        for text in [
            r#"{"seats":0}"#,
            r#" { "seats" : 9007199254740991, "names": ["a", "a"] } "#,
            r#"{"other":{"seats":1,"deep":[true,{}]},"seats":1}"#,
        ] {
            assert!(accepted(text), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "1",
            "[1]",
            "[1,[]]",
            r#"{"seats":1}x"#,
            r#"{"seats":1,"seats":1}"#,
            r#"{"seats":1,"other":{"a":1,"\u0061":1}}"#,
            r#"{"seats":-1}"#,
            r#"{"seats":-0}"#,
            r#"{"seats":1.0}"#,
            r#"{"seats":1e0}"#,
            r#"{"seats":"1"}"#,
            r#"{"seats":9007199254740992}"#,
            r#"{"seats":1,"other":-1}"#,
            r#"{"seats":1,"other":[null]}"#,
            r#"{"seats":1,"names":null}"#,
            r#"{"seats":1,"names":{}}"#,
            r#"{"seats":1,"other":NaN}"#,
            "{\"seats\":1,\"names\":[\"\n\"]}",
        ] {
            assert!(!accepted(text), "{text}");
        }
        assert!(read::<Seats>(b"{\"seats\":1,\"names\":[\"\xff\"]}").is_none());
        let deep = format!(r#"{{"seats":1,"other":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert!(!accepted(&deep));
    }
}
