//! The section `authentication`: by what clients are known, and what decides on what they may do.

use super::section::{Section, SectionError};
use crate::access::AccessChoice;

/// Reads the section to its end.
pub(super) fn read(mut section: Section<'_>) -> Result<AccessChoice, SectionError> {
    let choice = AccessChoice {
        users_file: section.string("usersFile")?.map(Into::into),
    };
    section.finish()?;
    Ok(choice)
}
