//! Writes the data set as text, one item a line, for matchers in other languages:
//! `export <filters> <directory>` makes `filters.txt` (key, tab, filter) and `topics.txt`.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::PathBuf;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let data = matcher_bench::dataset::generate(count);
    let mut filters = BufWriter::new(File::create(directory.join("filters.txt"))?);
    for filter in &data.filters {
        writeln!(filters, "{}\t{}", filter.key, filter.text)?;
    }
    let mut topics = BufWriter::new(File::create(directory.join("topics.txt"))?);
    for topic in &data.topics {
        writeln!(topics, "{topic}")?;
    }
    filters.flush()?;
    topics.flush()
}
