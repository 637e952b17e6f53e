//! One transaction: reads at one moment, writes that come into force together.

use bson::raw::cstr;
use bson::{Bson, Document, RawArrayBuf, RawBson, RawDocumentBuf, rawdoc};
use mongodb::options::{ReadConcern, WriteConcern};
use mongodb::{ClientSession, Database};

use crate::error::{Attempt, Failure};
use crate::row::Row;

/// Statements and names in one command at most; the server takes ten times as many.
const LARGEST_COMMAND: usize = 10_000;

/// Bytes of statements or names in one command at most; the server takes 16 MiB.
const LARGEST_COMMAND_BYTES: usize = 12 << 20;

/// How a write is answered: when most members of the replica set have it in their journals.
pub(crate) fn durable() -> WriteConcern {
    WriteConcern::builder()
        .w(mongodb::options::Acknowledgment::Majority)
        .journal(true)
        .build()
}

/// A transaction under way.
pub(crate) struct Transaction<'s> {
    pub(crate) session: &'s mut ClientSession,
    pub(crate) database: &'s Database,
}

/// What is asked of one collection.
pub(crate) struct Find {
    pub(crate) collection: &'static str,
    pub(crate) filter: Document,
    pub(crate) projection: Document,
    pub(crate) order: Order,
    /// None where all are wanted.
    pub(crate) limit: Option<usize>,
}

/// In which order documents come, by `_id`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    Ascending,
    Descending,
}

impl<'s> Transaction<'s> {
    /// Begins; what was begun before in this session has to be done.
    pub(crate) async fn begin(
        session: &'s mut ClientSession,
        database: &'s Database,
    ) -> Attempt<Self> {
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(durable())
            .await?;
        Ok(Self { session, database })
    }

    /// Gives the documents to `each` one by one, until there are no more or it says `false`.
    pub(crate) async fn find(
        &mut self,
        find: Find,
        each: impl FnMut(Row<'_>) -> Attempt<bool> + Send,
    ) -> Attempt<()> {
        self.find_some(find, LARGEST_COMMAND, each).await
    }

    /// The same, where `each` is expected to say `false` after so many.
    pub(crate) async fn find_some(
        &mut self,
        find: Find,
        expected: usize,
        mut each: impl FnMut(Row<'_>) -> Attempt<bool> + Send,
    ) -> Attempt<()> {
        // The server takes it for no limit.
        if find.limit == Some(0) {
            return Ok(());
        }
        let collection = self.database.collection::<RawDocumentBuf>(find.collection);
        let mut query = collection
            .find(find.filter)
            .projection(find.projection)
            .batch_size(u32::try_from(expected.clamp(1, LARGEST_COMMAND)).unwrap_or(1));
        query = match find.order {
            Order::Any => query,
            Order::Ascending => query.sort(bson::doc! { "_id": 1 }),
            Order::Descending => query.sort(bson::doc! { "_id": -1 }),
        };
        if let Some(limit) = find.limit {
            query = query.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        let mut cursor = query.session(&mut *self.session).await?;
        while cursor.advance(self.session).await? {
            if !each(Row::new(find.collection, cursor.current()))? {
                break;
            }
        }
        Ok(())
    }

    /// Those of these names that are there, in as many commands as it takes.
    pub(crate) async fn find_named(
        &mut self,
        collection: &'static str,
        names: impl IntoIterator<Item = (Bson, usize)> + Send,
        projection: Document,
        mut each: impl FnMut(Row<'_>) -> Attempt<()> + Send,
    ) -> Attempt<()> {
        for names in in_commands(names) {
            let find = Find {
                collection,
                filter: bson::doc! { "_id": { "$in": names } },
                projection: projection.clone(),
                order: Order::Any,
                limit: None,
            };
            self.find(find, |row| each(row).map(|()| true)).await?;
        }
        Ok(())
    }

    /// Runs the statements; returns how many documents they concerned.
    pub(crate) async fn write(&mut self, statements: Statements) -> Attempt<i64> {
        let mut concerned = 0;
        for command in statements.into_commands() {
            let reply = self
                .database
                .run_raw_command(command)
                .session(&mut *self.session)
                .await?;
            concerned += check(&reply)?;
        }
        Ok(concerned)
    }
}

/// What a write command says of itself.
fn check(reply: &Document) -> Attempt<i64> {
    let first = reply
        .get_array("writeErrors")
        .ok()
        .and_then(|errors| errors.first());
    if let Some(Bson::Document(error)) = first {
        return Err(Failure::Statement {
            code: error.get_i32("code").unwrap_or_default(),
            message: error.get_str("errmsg").unwrap_or("no reason").to_owned(),
        });
    }
    Ok(reply.get_i32("n").map(i64::from).unwrap_or_default())
}

/// Divides names among commands; each comes with its size in bytes.
fn in_commands(names: impl IntoIterator<Item = (Bson, usize)>) -> Vec<Vec<Bson>> {
    let mut commands = Vec::new();
    let (mut current, mut bytes) = (Vec::new(), 0);
    for (name, size) in names {
        if current.len() == LARGEST_COMMAND || bytes + size > LARGEST_COMMAND_BYTES {
            commands.push(core::mem::take(&mut current));
            bytes = 0;
        }
        // The type, the number as a key, the length.
        bytes += size + 16;
        current.push(name);
    }
    if !current.is_empty() {
        commands.push(current);
    }
    commands
}

/// What is written to one collection in one way, in as few commands as the server allows.
pub(crate) struct Statements {
    verb: Verb,
    collection: &'static str,
    /// Statements; names of documents where they are removed.
    full: Vec<RawArrayBuf>,
    current: RawArrayBuf,
    /// Of a removal, beyond the name.
    condition: RawDocumentBuf,
    count: usize,
    bytes: usize,
}

#[derive(Clone, Copy)]
enum Verb {
    Insert,
    Update,
    Delete,
}

impl Statements {
    pub(crate) fn insert(collection: &'static str) -> Self {
        Self::new(Verb::Insert, collection)
    }

    pub(crate) fn update(collection: &'static str) -> Self {
        Self::new(Verb::Update, collection)
    }

    pub(crate) fn delete(collection: &'static str) -> Self {
        Self::new(Verb::Delete, collection)
    }

    /// Removes those that fit the condition.
    pub(crate) fn delete_if(collection: &'static str, condition: RawDocumentBuf) -> Self {
        Self {
            condition,
            ..Self::delete(collection)
        }
    }

    fn new(verb: Verb, collection: &'static str) -> Self {
        Self {
            verb,
            collection,
            full: Vec::new(),
            current: RawArrayBuf::new(),
            condition: RawDocumentBuf::new(),
            count: 0,
            bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, statement: &RawDocumentBuf) {
        self.make_room(statement.as_bytes().len() + 16);
        self.current.push(statement);
    }

    fn make_room(&mut self, size: usize) {
        if self.count == LARGEST_COMMAND || self.bytes + size > LARGEST_COMMAND_BYTES {
            self.full
                .push(core::mem::replace(&mut self.current, RawArrayBuf::new()));
            (self.count, self.bytes) = (0, 0);
        }
        self.count += 1;
        self.bytes += size;
    }

    /// Puts a document in the place of the one that is there, or of none.
    pub(crate) fn push_put(&mut self, id: RawDocumentBuf, document: &RawDocumentBuf) {
        let mut statement = RawDocumentBuf::new();
        statement.append(cstr!("q"), id);
        statement.append(cstr!("u"), document);
        statement.append(cstr!("upsert"), true);
        self.push(&statement);
    }

    /// Changes the document that is there.
    pub(crate) fn push_change(&mut self, query: RawDocumentBuf, change: &RawDocumentBuf) {
        let mut statement = RawDocumentBuf::new();
        statement.append(cstr!("q"), query);
        statement.append(cstr!("u"), change);
        self.push(&statement);
    }

    /// Removes the document of this name; only for deletions.
    pub(crate) fn push_removal(&mut self, id: impl Into<RawBson>) {
        let id = id.into();
        let size = match &id {
            RawBson::String(text) => text.len(),
            RawBson::Document(document) => document.as_bytes().len(),
            _ => 16,
        };
        self.make_room(size + 16);
        self.current.push(id);
    }

    fn into_commands(mut self) -> impl Iterator<Item = RawDocumentBuf> {
        if self.count > 0 {
            self.full.push(self.current);
        }
        let (verb, collection, condition) = (self.verb, self.collection, self.condition);
        self.full.into_iter().map(move |statements| {
            let mut command = RawDocumentBuf::new();
            match verb {
                Verb::Insert => {
                    command.append(cstr!("insert"), collection);
                    command.append(cstr!("documents"), statements);
                }
                Verb::Update => {
                    command.append(cstr!("update"), collection);
                    command.append(cstr!("updates"), statements);
                }
                Verb::Delete => {
                    // One statement for many documents costs the server half of one for each.
                    let mut query = RawDocumentBuf::new();
                    query.append(cstr!("_id"), rawdoc! { "$in": statements });
                    for (name, value) in condition.iter().flatten() {
                        query.append(name, value);
                    }
                    let statement = rawdoc! { "q": query, "limit": 0 };
                    command.append(cstr!("delete"), collection);
                    command.append(cstr!("deletes"), RawArrayBuf::from_iter([statement]));
                }
            }
            command
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stay_within_what_the_server_takes() {
        let mut statements = Statements::insert("things");
        let large = rawdoc! { "text": "x".repeat(5 << 20) };
        (0..5).for_each(|_| statements.push(&large));
        let sizes: Vec<usize> = statements
            .into_commands()
            .map(|command| command.as_bytes().len())
            .collect();
        assert_eq!(sizes.len(), 3);
        assert!(sizes.iter().all(|size| *size < 16 << 20));

        let mut statements = Statements::insert("things");
        (0..25_000).for_each(|number| statements.push(&rawdoc! { "_id": number }));
        assert_eq!(statements.into_commands().count(), 3);
        assert_eq!(Statements::delete("things").into_commands().count(), 0);

        let names = (0..25_000).map(|number| (Bson::Int32(number), 4));
        assert_eq!(in_commands(names).len(), 3);
    }

    #[test]
    fn an_error_of_a_statement_is_an_error() {
        let reply = bson::doc! { "ok": 1, "n": 0, "writeErrors": [
            { "index": 0, "code": 11_000, "errmsg": "duplicate" },
        ] };
        let failure = check(&reply).unwrap_err();
        assert!(failure.is_passing(), "{failure}");
        assert_eq!(check(&bson::doc! { "ok": 1, "n": 3 }).unwrap(), 3);
    }
}
