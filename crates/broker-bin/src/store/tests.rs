//! What is taken for a store, and what is said about the rest.

use super::*;

fn choice(text: &str) -> Result<StoreChoice, String> {
    text.parse().map_err(|error: ChoiceError| error.to_string())
}

#[test]
fn every_store_has_its_scheme() {
    assert_eq!(choice("memory"), Ok(StoreChoice::Memory));
    assert_eq!(choice("Memory"), Ok(StoreChoice::Memory));
    for (text, path) in [
        ("fjall:/var/lib/mosca", "/var/lib/mosca"),
        ("fjall:relative", "relative"),
        ("FJALL:a:b c", "a:b c"),
    ] {
        let expected = StoreChoice::Fjall {
            path: path.into(),
            durability: Durability::Always,
        };
        assert_eq!(choice(text), Ok(expected));
    }
    for text in [
        "redis://a",
        "rediss://a",
        "redis+sentinel://a/service",
        "rediss+sentinel://a,b/service",
        "redis+cluster://a,b:7000",
        "rediss+cluster://a",
    ] {
        assert_eq!(choice(text), Ok(StoreChoice::Redis(text.parse().unwrap())));
    }
    for text in ["mongodb://a", "mongodb://me:secret@a,b:1/mosca?tls=true"] {
        assert_eq!(choice(text), Ok(StoreChoice::Mongo(text.parse().unwrap())));
    }
}

#[test]
fn what_is_no_store_is_named_together_with_what_there_is() {
    for (text, suggestion) in [
        ("reddis://a", "did you mean `redis://HOST`?"),
        ("mongo://a", "did you mean `mongodb://HOST`?"),
        ("levelup:/a", "did you mean `fjall:PATH`?"),
        ("leveldb", "did you mean `fjall:PATH`?"),
        ("memroy", "did you mean `memory`?"),
        ("/var/lib/mosca", "chosen by `fjall:/var/lib/mosca`"),
        ("./db", "chosen by `fjall:./db`"),
    ] {
        let error = choice(text).unwrap_err();
        assert!(error.contains(suggestion), "{text}: {error}");
        assert!(error.contains("there are memory, fjall:PATH"), "{error}");
    }
    for text in ["", "postgresql://a", "http://a"] {
        let error = choice(text).unwrap_err();
        assert!(!error.contains("did you mean"), "{text}: {error}");
        assert!(error.contains("there are memory, fjall:PATH"), "{error}");
    }
    let srv = choice("mongodb+srv://a").unwrap_err();
    assert!(srv.contains("write the hosts"), "{srv}");
    assert!(choice("fjall:").unwrap_err().contains("lacks the path"));
    assert!(choice("redis:a").unwrap_err().contains("`//`"));
}

#[test]
fn a_choice_is_shown_without_its_password() {
    for (text, shown) in [
        ("memory", "memory"),
        ("fjall:/a/b", "fjall:/a/b"),
        ("redis://:secret@a/1", "redis://:***@a/1"),
        ("mongodb://me:secret@a", "mongodb://me:***@a"),
    ] {
        assert_eq!(choice(text).unwrap().to_string(), shown);
    }
}

#[test]
fn durability_is_one_of_three() {
    let parse = |text: &str| text.parse::<Durability>();
    assert_eq!(parse("always"), Ok(Durability::Always));
    assert_eq!(parse("os"), Ok(Durability::Os));
    for millis in [1, 100, 60_000] {
        let interval = Durability::Interval(Duration::from_millis(millis));
        assert_eq!(parse(&format!("interval:{millis}")), Ok(interval));
    }
    for wrong in [
        "",
        "Always",
        "never",
        "interval",
        "interval:",
        "interval:0",
        "interval:60001",
        "interval:1s",
        "os:3",
        "always:",
    ] {
        let error = parse(wrong).unwrap_err().to_string();
        assert!(error.contains(&format!("`{wrong}`")), "{error}");
        assert!(error.contains("interval:MS with 1 to 60000 ms"), "{error}");
    }
}

#[test]
fn what_is_far_from_all_names_is_not_guessed() {
    let names = ["host", "port", "password"];
    assert_eq!(closest("prot", names), Some("port"));
    assert_eq!(closest("PORT", names), Some("port"));
    assert_eq!(closest("pasword", names), Some("password"));
    assert_eq!(closest("colour", names), None);
}
