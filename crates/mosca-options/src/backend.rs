//! What holds between a broker and the engine that connects it with others.

use std::time::Duration;

use mosca::ServerBuilder;

use crate::value::{Object, Value};

/// The server with what the section `backend` says of the limits towards its engine, whichever that is.
pub(crate) fn apply(server: ServerBuilder, section: &Object) -> ServerBuilder {
    let number = |key| section.get(key).and_then(Value::as_u64);
    let count = |key, there: usize| {
        let number = number(key).map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        number.unwrap_or(there)
    };
    let local = section.get("localTopics").and_then(Value::as_list);
    server.backend_options(|options| {
        options.max_forward_messages = count("maxForwardMessages", options.max_forward_messages);
        options.max_forward_bytes = count("maxForwardBytes", options.max_forward_bytes);
        options.max_receive_messages = count("maxReceiveMessages", options.max_receive_messages);
        options.max_receive_bytes = count("maxReceiveBytes", options.max_receive_bytes);
        if let Some(millis) = number("acceptanceTimeout") {
            options.acceptance_timeout = Duration::from_millis(millis);
        }
        if let Some(local) = local {
            let filters = local.iter().filter_map(Value::as_str);
            options.local_topics = filters.map(str::to_owned).collect();
        }
    })
}

#[cfg(test)]
mod tests {
    use mosca::{BackendOptions, Server};

    use super::*;
    use crate::modernize::populate;
    use crate::parse::Format;
    use crate::validate::validate;

    /// What a server gets of a section `backend`.
    fn options(section: &str) -> BackendOptions {
        let file = Format::Json.parse(&format!("{{ \"backend\": {section} }}"));
        let file = file.unwrap();
        assert_eq!(validate(&file), []);
        let populated = populate(&file);
        let section = populated.as_object().unwrap().get("backend").unwrap();
        let mut found = None;
        let server = apply(Server::builder(), section.as_object().unwrap());
        let _server = server.backend_options(|options| found = Some(options.clone()));
        found.unwrap()
    }

    #[test]
    fn the_defaults_of_each_engine_are_those_of_the_code() {
        for engine in ["memory", "mqtt", "amqp"] {
            let section = format!("{{ \"type\": {engine:?} }}");
            assert_eq!(options(&section), BackendOptions::default(), "{engine}");
        }
    }

    #[test]
    fn each_limit_towards_an_engine_takes_effect() {
        let said = r##"{ "type": "mqtt", "maxForwardMessages": 1, "maxForwardBytes": 2, "maxReceiveMessages": 3,
            "maxReceiveBytes": 4, "acceptanceTimeout": 5, "localTopics": ["a/#", "b"] }"##;
        let expected = BackendOptions {
            max_forward_messages: 1,
            max_forward_bytes: 2,
            max_receive_messages: 3,
            max_receive_bytes: 4,
            acceptance_timeout: Duration::from_millis(5),
            local_topics: vec!["a/#".to_owned(), "b".to_owned()],
        };
        assert_eq!(options(said), expected);
    }
}
