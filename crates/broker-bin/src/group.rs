//! Groups of users of this machine, by name.

use std::fs;

const GROUPS: &str = "/etc/group";

/// There is no such group.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    #[error(
        "there is no group {0} in {GROUPS}; one of a directory service is to be named by its number"
    )]
    Unknown(String),
    #[error("cannot read {GROUPS}: {0}")]
    Unreadable(#[from] std::io::Error),
}

/// The number of a group: what is given, or what the machine's own file says of the name.
pub(crate) fn number(group: &str) -> Result<u32, GroupError> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let groups = fs::read_to_string(GROUPS)?;
    find(&groups, group).ok_or_else(|| GroupError::Unknown(group.to_owned()))
}

/// From lines of the form `name:password:number:members`.
fn find(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name_and_number() {
        assert_eq!(number("1007").unwrap(), 1_007);
        assert_eq!(number("root").unwrap(), 0);
        assert!(matches!(
            number("no such group"),
            Err(GroupError::Unknown(_))
        ));
        let groups = "root:x:0:\nmqtt2:x:7:a\nmqtt:x:121:a,b\nbroken\n";
        assert_eq!(find(groups, "mqtt"), Some(121));
        assert_eq!(find(groups, "broken"), None);
        assert_eq!(find(groups, "x"), None);
    }
}
