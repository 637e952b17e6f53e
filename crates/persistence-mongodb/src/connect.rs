//! Opens a store: finds the servers, and makes sure that the database is ours.

use core::time::Duration;
use std::sync::Arc;

use bson::{Bson, Document, doc};
use mongodb::event::EventHandler;
use mongodb::options::{ClientOptions, ReadConcern, ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};
use tokio::task::JoinSet;

use crate::MongoOptions;
use crate::error::ConnectError;
use crate::health::Health;
use crate::inner::Inner;
use crate::options::without_password;
use crate::schema::{COLLECTIONS, FORMAT, FORMAT_ID, INDEXES, Index, META};
use crate::transaction::durable;

/// The database where neither the options nor the address name one.
const DEFAULT_DATABASE: &str = "mosca";

/// Code of the answer to a collection that is to be made and is there.
const NAMESPACE_EXISTS: i32 = 48;

pub(crate) async fn connect(options: MongoOptions) -> Result<Inner, ConnectError> {
    let url = without_password(&options.url);
    let unreachable = |source: mongodb::error::Error| ConnectError::Unreachable {
        url: url.clone(),
        source: source.kind.to_string().into(),
    };
    let health = Arc::new(Health::new(&url));
    let (client, database) = open(&options, &url, &health).await?;
    check_server(&client, &url).await?;
    prepare(&database).await.map_err(|error| match error {
        Trouble::Driver(source) => unreachable(source),
        Trouble::Told(error) => error,
    })?;
    Ok(Inner::new(client, database, options, health))
}

/// What goes wrong while the database is looked at.
enum Trouble {
    Driver(mongodb::error::Error),
    Told(ConnectError),
}

impl From<mongodb::error::Error> for Trouble {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Driver(error)
    }
}

async fn open(
    options: &MongoOptions,
    url: &str,
    health: &Arc<Health>,
) -> Result<(Client, Database), ConnectError> {
    let wrong = |reason: String| ConnectError::Url {
        url: url.to_owned(),
        reason,
    };
    if options.url.starts_with("mongodb+srv:") {
        let reason = "mongodb+srv is not understood; name the hosts in mongodb://host1,host2/…";
        return Err(wrong(reason.to_owned()));
    }
    let mut parsed = ClientOptions::parse(&options.url)
        .await
        .map_err(|error| wrong(error.kind.to_string()))?;
    let millis = |millis: u64| Some(Duration::from_millis(millis.max(1)));
    parsed.app_name.get_or_insert_with(|| "mosca".to_owned());
    parsed.connect_timeout = millis(options.connect_timeout_ms);
    parsed.server_selection_timeout = millis(options.connect_timeout_ms);
    parsed.write_concern = Some(durable());
    parsed.read_concern = Some(ReadConcern::majority());
    // What is read from others may be older than what was read before.
    parsed.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let health = Arc::clone(health);
    let hear = EventHandler::callback(move |event| health.hear(&event));
    parsed.sdam_event_handler = Some(hear);
    let name = options
        .database
        .clone()
        .or_else(|| parsed.default_database.clone())
        .unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
    let client = Client::with_options(parsed).map_err(|error| wrong(error.kind.to_string()))?;
    let database = client.database(&name);
    Ok((client, database))
}

/// Transactions need a replica set, or servers that divide the data among several.
async fn check_server(client: &Client, url: &str) -> Result<(), ConnectError> {
    let hello = client
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .await
        .map_err(|source| ConnectError::Unreachable {
            url: url.to_owned(),
            source: source.kind.to_string().into(),
        })?;
    let is_router = hello.get_str("msg").is_ok_and(|text| text == "isdbgrid");
    if hello.contains_key("setName") || is_router {
        return Ok(());
    }
    Err(ConnectError::Standalone {
        url: url.to_owned(),
    })
}

async fn prepare(database: &Database) -> Result<(), Trouble> {
    let name = database.name();
    let meta = database.collection::<Document>(META);
    let version = || async { meta.find_one(doc! { "_id": FORMAT_ID }).await };
    let mut format = version().await?;
    if format.is_none() {
        // Looked at before the version, which another process may be about to write.
        let foreign = foreign(database).await?;
        format = version().await?;
        if let (None, Some(collection)) = (&format, foreign) {
            return Err(Trouble::Told(ConnectError::Foreign {
                database: name.to_owned(),
                collection,
            }));
        }
    }
    if let Some(format) = format {
        check_version(name, &format)?;
    }
    check_collections(database).await?;
    // Last, so that what was not finished is begun again.
    meta.update_one(
        doc! { "_id": FORMAT_ID },
        doc! { "$setOnInsert": { "version": i64::from(FORMAT), "by": "mosca" } },
    )
    .upsert(true)
    .await?;
    match version().await? {
        Some(format) => check_version(name, &format),
        None => Err(version_error(name, "none".to_owned())),
    }
}

/// A collection by one of our names in which there is something.
async fn foreign(database: &Database) -> Result<Option<String>, Trouble> {
    let present = database.list_collection_names().await?;
    for collection in present {
        let documents = database.collection::<Document>(&collection);
        if COLLECTIONS.contains(&collection.as_str())
            && documents.find_one(doc! {}).await?.is_some()
        {
            return Ok(Some(collection));
        }
    }
    Ok(None)
}

/// Makes collections and indexes that are missing, and compares indexes that are there. At the same time,
/// as each that is made waits for the disks of most members.
async fn check_collections(database: &Database) -> Result<(), Trouble> {
    let present = database.list_collection_names().await?;
    let mut tasks = JoinSet::new();
    for collection in COLLECTIONS {
        let is_missing = !present.iter().any(|one| one == collection);
        let database = database.clone();
        tasks.spawn(async move {
            if is_missing {
                match database.create_collection(collection).await {
                    Err(error) if is_there(&error) => {}
                    outcome => outcome?,
                }
            }
            check_indexes(&database, collection).await
        });
    }
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(outcome) => outcome?,
            // The runtime ends.
            Err(error) => return Err(mongodb::error::Error::custom(error.to_string()).into()),
        }
    }
    Ok(())
}

fn is_there(error: &mongodb::error::Error) -> bool {
    matches!(&*error.kind, mongodb::error::ErrorKind::Command(command) if command.code == NAMESPACE_EXISTS)
}

fn check_version(database: &str, format: &Document) -> Result<(), Trouble> {
    let found = format.get("version");
    let number = match found {
        Some(Bson::Int32(number)) => Some(i64::from(*number)),
        Some(Bson::Int64(number)) => Some(*number),
        _ => None,
    };
    if number == Some(i64::from(FORMAT)) {
        return Ok(());
    }
    let shown = found.map_or_else(|| "none".to_owned(), Bson::to_string);
    Err(version_error(database, shown))
}

fn version_error(database: &str, found: String) -> Trouble {
    Trouble::Told(ConnectError::Version {
        database: database.to_owned(),
        found,
        understood: FORMAT,
    })
}

/// Makes the indexes of a collection that are missing, and compares those that are there.
async fn check_indexes(database: &Database, collection: &str) -> Result<(), Trouble> {
    let indexes: Vec<&Index> = INDEXES
        .iter()
        .filter(|index| index.collection == collection)
        .collect();
    if indexes.is_empty() {
        return Ok(());
    }
    let listed = database
        .run_command(doc! { "listIndexes": collection, "cursor": {} })
        .await?;
    let listed = listed
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"))
        .cloned()
        .unwrap_or_default();
    let mut missing = Vec::new();
    for index in indexes {
        let found = listed
            .iter()
            .filter_map(Bson::as_document)
            .find(|one| one.get_str("name").is_ok_and(|name| name == index.name));
        match found {
            Some(found) => compare(index, found)?,
            None => missing.push(definition(index)),
        }
    }
    if !missing.is_empty() {
        database
            .run_command(doc! { "createIndexes": collection, "indexes": missing })
            .await?;
    }
    Ok(())
}

fn definition(index: &Index) -> Document {
    let mut definition = doc! { "key": (index.keys)(), "name": index.name };
    definition.extend((index.options)());
    definition
}

/// What the server adds of its own accord does not count; what changes the meaning does.
fn compare(index: &Index, found: &Document) -> Result<(), Trouble> {
    const MEANING: [&str; 7] = [
        "key",
        "expireAfterSeconds",
        "sparse",
        "unique",
        "partialFilterExpression",
        "collation",
        "hidden",
    ];
    let wanted = definition(index);
    let meaning = |document: &Document| -> Document {
        MEANING
            .iter()
            .filter_map(|field| {
                let value = document.get(field)?;
                Some(((*field).to_owned(), as_integer(value)))
            })
            .collect()
    };
    if meaning(found) == meaning(&wanted) {
        return Ok(());
    }
    Err(Trouble::Told(ConnectError::Index {
        collection: index.collection.to_owned(),
        index: index.name.to_owned(),
        found: meaning(found).to_string(),
        wanted: meaning(&wanted).to_string(),
    }))
}

/// Numbers of indexes come back in other types than they were sent in, depending on who sent them.
fn as_integer(value: &Bson) -> Bson {
    match value {
        Bson::Int32(number) => Bson::Int64(i64::from(*number)),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number of seconds, or 1 or -1"
        )]
        Bson::Double(number) if number.fract() == 0.0 => Bson::Int64(*number as i64),
        Bson::Document(document) => Bson::Document(
            document
                .iter()
                .map(|(key, value)| (key.clone(), as_integer(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}
