//! Keys of different names are different, in the names' order, and are taken apart again.

use persistence_records::{Key, KeyError, KeyReader};
use proptest::collection::vec;
use proptest::prelude::*;

/// Names that are close to each other, and any others.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab/:+#*\u{0}\u{1}é\u{10FFFF}]{0,4}", any::<String>()]
}

proptest! {
    #[test]
    fn names_with_their_lengths_do_not_collide(a in (name(), name()), b in (name(), name())) {
        let key = |(one, other): &(String, String)| Key::new().name(one).name(other);
        prop_assert_eq!(key(&a) == key(&b), a == b);
        let last = |(one, other): &(String, String)| Key::new().name(one).last(other);
        prop_assert_eq!(last(&a) == last(&b), a == b);
    }

    /// Also with something behind them, whatever it begins with.
    #[test]
    fn ordered_names_are_in_order(a in name(), b in name(), x: u64, y: u64) {
        let order = a.as_bytes().cmp(b.as_bytes()).then(x.cmp(&y));
        let key = |name: &str, number| Key::new().ordered(name).number(number);
        prop_assert_eq!(key(&a, x).cmp(&key(&b, y)), order);
        prop_assert_eq!(Key::new().last(&a).cmp(&Key::new().last(&b)), a.as_bytes().cmp(b.as_bytes()));
    }

    /// What follows one ordered name never makes it look like another.
    #[test]
    fn ordered_names_do_not_collide(a in (name(), name()), b in (name(), name())) {
        let key = |(one, other): &(String, String)| Key::new().ordered(one).ordered(other);
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
    }

    #[test]
    fn a_key_is_taken_apart(
        kind: u8, name in name(), number: u64, ordered in name(), short: u16, last in name(),
    ) {
        let key = Key::new().byte(kind).name(&name).number(number).ordered(&ordered).short(short);
        let mut reader = KeyReader::new(key.as_bytes());
        prop_assert_eq!(reader.byte(), Ok(kind));
        prop_assert_eq!(reader.name(), Ok(&*name));
        prop_assert_eq!(reader.number(), Ok(number));
        prop_assert_eq!(reader.ordered().unwrap(), &*ordered);
        prop_assert_eq!(reader.short(), Ok(short));
        prop_assert_eq!(reader.clone().end(), Ok(()));
        prop_assert_eq!(reader.last(), Ok(""));
        let key = key.last(&last).into_bytes();
        let mut reader = KeyReader::new(&key);
        reader.byte().unwrap();
        reader.name().unwrap();
        reader.number().unwrap();
        reader.ordered().unwrap();
        reader.short().unwrap();
        prop_assert_eq!(reader.last(), Ok(&*last));
    }

    #[test]
    fn hostile_keys_are_read_or_refused(bytes in vec(any::<u8>(), 0..40)) {
        let reader = KeyReader::new(&bytes);
        let _ = reader.clone().byte();
        let _ = reader.clone().number();
        let _ = reader.clone().short();
        let _ = reader.clone().name();
        let _ = reader.clone().ordered();
        let _ = reader.last();
    }
}

#[test]
fn a_name_may_be_as_long_as_mqtt_allows() {
    let name = "é".repeat(32_767);
    let key = Key::new().name(&name).into_bytes();
    assert_eq!(key.len(), name.len() + 3);
    assert_eq!(KeyReader::new(&key).name(), Ok(&*name));
}

#[test]
fn what_is_no_key_says_why() {
    assert_eq!(KeyReader::new(b"").byte(), Err(KeyError::TooShort));
    assert_eq!(KeyReader::new(b"\x05abc").name(), Err(KeyError::TooShort));
    assert_eq!(KeyReader::new(b"\x01\xFF").name(), Err(KeyError::NotAName));
    assert_eq!(KeyReader::new(&[0xFF; 12]).name(), Err(KeyError::NotAName));
    assert_eq!(KeyReader::new(b"ab").ordered(), Err(KeyError::TooShort));
    assert_eq!(KeyReader::new(b"ab\0").ordered(), Err(KeyError::TooShort));
    assert_eq!(
        KeyReader::new(b"ab\0\x02").ordered(),
        Err(KeyError::NotAName)
    );
    assert_eq!(KeyReader::new(b"ab").end(), Err(KeyError::TooLong));
}
