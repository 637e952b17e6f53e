//! The options of the MQTT broker mosca, as files have them: JSON (with comments), TOML or YAML, in the two
//! forms that the mosca of Node.js knows, with environment variables over them.
//!
//! A file is read ([`Format::parse`]), which keeps the line of each value; environment variables count before it
//! ([`with_environment`]); it is checked as a whole, so that all that is wrong is said at once ([`validate()`]); and
//! then brought to one form with all defaults ([`populate`], after [`modernize`]). All of that follows from one table
//! of options, and so do the JSON Schema ([`schema()`]) and the file with all defaults ([`default_file()`]).
//!
//! ```
//! use mosca::Server;
//! use mosca_options::{Format, apply, populate, validate};
//!
//! let file = Format::Yaml.parse("port: 0\nlimits:\n  maxInflight: 20\n")?;
//! assert_eq!(validate(&file), []);
//! let options = populate(&file);
//! let builder = match options.as_object() {
//!     Some(options) => apply(Server::builder(), options),
//!     None => Server::builder(),
//! };
//! # Ok::<_, mosca_options::SyntaxError>(())
//! ```

mod backend;
mod default_file;
mod definition;
mod environment;
mod limits;
mod modernize;
mod parse;
mod problem;
mod schema;
mod table;
mod validate;
mod value;

pub use default_file::default_file;
pub use environment::{ENVIRONMENT_PREFIX, variable_of, with_environment};
pub use limits::{apply, rate};
pub use modernize::{modernize, populate};
pub use parse::{FORMATS, Format, SyntaxError};
pub use problem::{Problem, closest};
pub use schema::schema;
pub use validate::{problem_of_file, unreadable_files, validate, without_effect};
pub use value::{Data, Object, Value};
